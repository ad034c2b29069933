"""The connection to the relational store: SQLite beside the process, or PostgreSQL by its URL.

SQLAlchemy's own asyncio package imports its whole ORM, 200 ms of every start; the few lines of it that Core needs,
running the engine inside a greenlet, are here instead. What differs between the two databases is in dialect.py.
Why so: docs/decisions/0003-relational-store.md.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy
from sqlalchemy import event, exc
from sqlalchemy.engine import URL, CursorResult, Row
from sqlalchemy.engine import Connection as SyncConnection
from sqlalchemy.sql.base import Executable
from sqlalchemy.util import greenlet_spawn

from vemetric import errors
from vemetric.database import dialect, migrate
from vemetric.model.store_facts import StoreFacts

CONNECTIONS_MAX = 5
CONNECTION_WAIT_SECONDS = 10
# After a change of its own a process does not ask the replica for so long, that people see what they did.
LAG_SECONDS = 10.0
# A replica that could not be reached is left alone for so long.
REPLICA_REST_SECONDS = 10
# The execution option that tells the "begin" listener which statement opens the transaction.
BEGIN_OPTION = "vemetric_begin"

# What the driver says when a statement is wrong; no other moment will make it right.
OUR_MISTAKES = (exc.DataError, exc.ProgrammingError, exc.NotSupportedError)

Parameters = Sequence[dict[str, Any]] | dict[str, Any]
Taken = TypeVar("Taken")
log = logging.getLogger(__name__)


def file_url(path: Path) -> URL:
    """The URL of an SQLite file, whatever characters its path has."""
    return URL.create("sqlite", database=str(path))


class Connection:
    """One transaction. Every method runs one statement and returns plain results; nothing is left open.

    All of them raise Unavailable when the database cannot be used right now.
    """

    def __init__(self, connection: SyncConnection, rules: dialect.Dialect, writes: bool) -> None:
        self._connection = connection
        self._rules = rules
        self._writes = writes

    async def rows(self, statement: Executable) -> Sequence[Row[Any]]:
        """All rows of a SELECT."""
        return await self._run(statement, None, lambda result: result.all())

    async def row(self, statement: Executable) -> Row[Any] | None:
        """The first row of a SELECT, or None."""
        return await self._run(statement, None, lambda result: result.first())

    async def value(self, statement: Executable) -> Any:
        """The first column of the first row of a SELECT, or None."""
        return await self._run(statement, None, lambda result: result.scalar())

    async def change(self, statement: Executable, parameters: Parameters | None = None) -> int:
        """Run an INSERT, UPDATE or DELETE, once per set of parameters; returns how many rows it met.

        Raises Conflict when a uniqueness or a reference forbids it; the transaction is then of no more use.
        """
        if not self._writes:
            raise RuntimeError("changes need Database.begin(): a connect() is never committed")
        if isinstance(parameters, Sequence) and not parameters:
            return 0
        return await self._run(statement, parameters, lambda result: result.rowcount)

    async def insert_if_absent(self, table: sqlalchemy.Table, values: dict[str, Any]) -> bool:
        """Insert a row unless it clashes with one that exists; True if it is new."""
        return await self.change(self._rules.insert_or_nothing(table).values(values)) == 1

    async def lock(self, name: str) -> None:
        """Let one transaction at a time pass here, until it ends. SQLite's write transactions are alone anyway."""
        if self._rules.lock is not None:
            await self._run(sqlalchemy.text(self._rules.lock), {"name": name}, lambda result: result.all())

    async def _run(
        self, statement: Executable, parameters: Parameters | None, take: Callable[[CursorResult[Any]], Taken]
    ) -> Taken:
        with _translated():
            return await greenlet_spawn(lambda: take(self._connection.execute(statement, parameters)))


class Database:
    """Opens transactions. Read with `async with connect()`, write with `async with begin()`."""

    def __init__(
        self, engine: sqlalchemy.Engine, rules: dialect.Dialect, replica: sqlalchemy.Engine | None = None
    ) -> None:
        self._engine = engine
        self._rules = rules
        self._replica = replica
        self._replica_from = 0.0
        # One writer at a time, in the order they came: a queue here instead of polling SQLite's lock.
        self._writer: AbstractAsyncContextManager[Any] = asyncio.Lock() if rules.one_writer else nullcontext()

    @classmethod
    async def open(cls, url: str | URL, *, replica_url: str = "", connections_max: int = CONNECTIONS_MAX) -> "Database":
        """Connect and bring the schema up to this version; of several processes at once one does it, the others wait.

        replica_url: a replica that is asked for what may be a moment old; it need not be there yet.
        Raises Misconfigured for a URL that is not supported or a database a newer version has written, Unavailable
        when the database cannot be reached.
        """
        parsed, rules = dialect.of(url)
        if rules.one_writer and parsed.database:
            _make_private(Path(parsed.database))
        replica = _engine(*dialect.of(replica_url), connections_max) if replica_url else None
        database = cls(_engine(parsed, rules, connections_max), rules, replica)
        try:
            async with database.begin() as connection:
                await connection.lock("migrate")
                await greenlet_spawn(migrate.bring_up, connection._connection)
        except BaseException:
            await database.close()
            raise
        return database

    @asynccontextmanager
    async def connect(self, *, may_lag: bool = False) -> AsyncIterator[Connection]:
        """A transaction that only reads: what it sees does not change while it is open.

        may_lag: what it sees may be a moment old, so that a replica can be asked; never right after this process wrote.
        """
        connection = await self._start_on_replica() if may_lag else None
        connection = connection or await self._start(self._rules.begin_read)
        try:
            yield Connection(connection, self._rules, writes=False)
        finally:
            await asyncio.shield(_give_back(connection))

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Connection]:
        """A transaction that writes: committed at the end of the block, rolled back by any exception."""
        async with self._writer:
            connection = await self._start(self._rules.begin_write)
            try:
                yield Connection(connection, self._rules, writes=True)
                with _translated():
                    await greenlet_spawn(connection.commit)
                self._rest_replica(LAG_SECONDS)
            finally:
                await asyncio.shield(_give_back(connection))

    async def check(self) -> None:
        """Raise Unavailable unless it can be read now."""
        async with self.connect() as connection:
            await connection.value(sqlalchemy.select(sqlalchemy.literal(1)))

    @property
    def connections(self) -> tuple[int, int]:
        """Connections in use, and how many there may be."""
        pool = self._engine.pool
        return (pool.checkedout(), pool.size()) if isinstance(pool, sqlalchemy.QueuePool) else (0, 0)

    async def facts(self) -> StoreFacts:
        """What kind of database it is, and how large. Raises Unavailable."""
        async with self.connect() as connection:
            version = await connection.value(sqlalchemy.text(self._rules.version))
            size = await connection.value(sqlalchemy.text(self._rules.size))
        return StoreFacts(self._rules.name, str(version).partition(" ")[0], int(size))

    async def close(self) -> None:
        """Close every connection."""
        await greenlet_spawn(self._engine.dispose)
        if self._replica is not None:
            await greenlet_spawn(self._replica.dispose)

    async def _start(self, statement: str | None) -> SyncConnection:
        # Nothing was read or written yet, so beginning again is always safe.
        for wait_seconds in self._rules.retry_waits_seconds:
            try:
                return await self._open(self._engine, statement)
            except errors.Unavailable as error:
                if isinstance(error.__cause__, exc.TimeoutError):
                    # All connections are in use; that has been waited for already.
                    raise
                await asyncio.sleep(wait_seconds)
        return await self._open(self._engine, statement)

    async def _start_on_replica(self) -> SyncConnection | None:
        if self._replica is None or asyncio.get_running_loop().time() < self._replica_from:
            return None
        try:
            return await self._open(self._replica, self._rules.begin_read)
        except errors.Unavailable as error:
            log.warning("The database's replica is left alone for %d s: %s", REPLICA_REST_SECONDS, error)
            self._rest_replica(REPLICA_REST_SECONDS)
            return None

    def _rest_replica(self, seconds: float) -> None:
        self._replica_from = max(self._replica_from, asyncio.get_running_loop().time() + seconds)

    async def _open(self, engine: sqlalchemy.Engine, statement: str | None) -> SyncConnection:
        with _translated():
            return await greenlet_spawn(_open, engine, statement)


class _translated:
    """Turns the driver's errors into ours."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, exc.IntegrityError):
            raise errors.Conflict from error
        if isinstance(error, exc.DBAPIError) and not isinstance(error, OUR_MISTAKES):
            raise errors.Unavailable(f"The accounts database cannot be used right now: {error.orig}.") from error
        if isinstance(error, exc.TimeoutError | OSError):
            raise errors.Unavailable(f"The accounts database cannot be reached: {error}.") from error


def _engine(url: URL, rules: dialect.Dialect, connections_max: int) -> sqlalchemy.Engine:
    engine = sqlalchemy.create_engine(
        url,
        connect_args=rules.connect_arguments,
        pool_size=connections_max,
        max_overflow=0,
        pool_timeout=CONNECTION_WAIT_SECONDS,
        # They would be in the log with every error: addresses, hashes of passwords, salts.
        hide_parameters=True,
    )
    event.listen(engine, "connect", rules.prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _open(engine: sqlalchemy.Engine, statement: str | None) -> SyncConnection:
    connection = engine.connect()
    try:
        connection.execution_options(**{BEGIN_OPTION: statement})
        connection.begin()
    except BaseException:
        connection.close()
        raise
    return connection


async def _give_back(connection: SyncConnection) -> None:
    """Undo what was not committed and return the connection to its pool, or throw it away if it is broken."""
    try:
        await greenlet_spawn(connection.close)
    except (exc.DBAPIError, OSError):
        # The server has undone it when it lost the connection; whoever used it has heard of that.
        if not connection.closed:
            await greenlet_spawn(connection.invalidate)
            await greenlet_spawn(connection.close)


def _begin(connection: SyncConnection) -> None:
    statement = connection.get_execution_options().get(BEGIN_OPTION)
    if statement is not None:
        connection.exec_driver_sql(statement)


def _make_private(path: Path) -> None:
    """Create the file for its owner only; SQLite gives its companions the same mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise errors.Unavailable(f"{path} cannot be written: {error.strerror}.") from error
