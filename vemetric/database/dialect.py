"""What is not the same on SQLite and on PostgreSQL; no other file asks which of them it has."""

import ssl
from collections.abc import Callable
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from vemetric import errors

# How long a statement waits for another process that holds SQLite's write lock, or for PostgreSQL to answer.
BUSY_SECONDS = 5
CONNECT_SECONDS = 10
TLS_MODES = ("disable", "prefer", "require", "verify-ca", "verify-full")
TLS_CHECKED = ("verify-ca", "verify-full")
# A statement that hangs, as on a network that was cut, must not hold its connection for ever.
STATEMENT_SECONDS = 60


class Dialect(NamedTuple):
    """The rules of one database.

    begin_read, begin_write: statements that open a transaction where the driver is told not to; None: the driver's own
    way is right. Where it names a statement, a connection that died while idle is noticed before anything was done.
    one_writer: the database is a file with one writer at a time. insert_or_nothing: an INSERT that leaves
    a row it clashes with as it is. retry_waits_seconds: the waits before a transaction that could not be begun is begun
    again. lock: takes the lock called :name until the transaction ends. version, size: ask for the release, the bytes.
    """

    name: str
    version: str
    size: str
    driver: str
    connect_arguments: dict[str, Any]
    insert_or_nothing: Callable[[sqlalchemy.Table], Any]
    on_connect: tuple[str, ...] = ()
    begin_read: str | None = None
    begin_write: str | None = None
    one_writer: bool = False
    retry_waits_seconds: tuple[float, ...] = (0.0, 0.0)
    lock: str | None = None

    def prepare(self, connection: Any, _record: Any) -> None:
        """Set up a new driver connection."""
        cursor = connection.cursor()
        for statement in self.on_connect:
            cursor.execute(statement)
        cursor.close()


def _sqlite_insert(table: sqlalchemy.Table) -> Any:
    from sqlalchemy.dialects.sqlite import insert

    return insert(table).on_conflict_do_nothing()


def _postgresql_insert(table: sqlalchemy.Table) -> Any:
    from sqlalchemy.dialects.postgresql import insert

    return insert(table).on_conflict_do_nothing()


DIALECTS = {
    "sqlite": Dialect(
        name="SQLite",
        version="SELECT sqlite_version()",
        size="SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        driver="sqlite+aiosqlite",
        connect_arguments={"isolation_level": None, "timeout": BUSY_SECONDS},
        insert_or_nothing=_sqlite_insert,
        on_connect=(
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "PRAGMA foreign_keys = ON",
            # An erased salt must not be readable in the file's free pages.
            "PRAGMA secure_delete = ON",
        ),
        begin_read="BEGIN",
        # The write lock is taken before anything is read: what a transaction has seen stays true until it commits.
        begin_write="BEGIN IMMEDIATE",
        one_writer=True,
    ),
    "postgresql": Dialect(
        name="PostgreSQL",
        version="SELECT current_setting('server_version')",
        size="SELECT pg_database_size(current_database())",
        driver="postgresql+asyncpg",
        connect_arguments={
            "timeout": CONNECT_SECONDS,
            "command_timeout": STATEMENT_SECONDS,
            # Behind PgBouncer in transaction mode a named statement may have been prepared on another connection.
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": str,
        },
        insert_or_nothing=_postgresql_insert,
        begin_read="SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
        # Changes nothing, but a standby refuses it: after a switch-over the next attempt finds the new primary.
        begin_write="SET TRANSACTION READ WRITE",
        # A restart of the server takes about a second.
        retry_waits_seconds=(0.0, 0.1, 0.4, 1.5),
        lock="SELECT pg_advisory_xact_lock(hashtext(:name))",
    ),
}


def of(url: str | URL) -> tuple[URL, Dialect]:
    """The URL with its driver, and the rules; `postgres://` is taken for `postgresql://`. Raises Misconfigured."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise errors.Misconfigured("The database's URL cannot be read.") from None
    name = {"postgres": "postgresql"}.get(parsed.drivername, parsed.get_backend_name())
    if name not in DIALECTS:
        raise errors.Misconfigured(f"{parsed.drivername} is not a supported database; it must be sqlite or postgresql.")
    rules = DIALECTS[name]
    if name == "postgresql":
        rules = rules._replace(connect_arguments=rules.connect_arguments | _tls(dict(parsed.query)))
        parsed = parsed.set(query={})
    return parsed.set(drivername=rules.driver), rules


def _tls(query: dict[str, Any]) -> dict[str, Any]:
    """What the URL says of TLS, as the driver takes it; other tools' options are not guessed at."""
    mode = query.pop("sslmode", None) or query.pop("ssl", None)
    authority = query.pop("sslrootcert", None)
    # The original's URLs name the schema that is taken anyway.
    if query.get("schema") == "public":
        del query["schema"]
    if query or mode not in (None, *TLS_MODES) or (authority and mode not in TLS_CHECKED):
        named = ", ".join(query) or f"sslmode={mode}" + (" with sslrootcert" if authority else "")
        raise errors.Misconfigured(
            f"The database's URL says {named}: only sslmode is known, {' or '.join(TLS_MODES)}, and sslrootcert with "
            "the last two."
        )
    if mode not in TLS_CHECKED:
        return {} if mode is None else {"ssl": mode}
    # The driver by itself would look for a file in the home directory and trust nobody else.
    return {"ssl": _checking(authority, of_host=mode == "verify-full")}


def _checking(authority: str | None, *, of_host: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=authority)
    except OSError as error:
        raise errors.Misconfigured(
            f"The database's URL says sslrootcert={authority}: it cannot be used ({error})."
        ) from error
    context.check_hostname = of_host
    return context
