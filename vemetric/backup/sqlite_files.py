"""The SQLite files of a backup: copied from one moment while others write, made fit to be kept and started from."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from vemetric import errors

WAIT_SECONDS = 30


class Moment:
    """Files as they were at one moment, until it is ended. Whoever writes to them meanwhile does not wait."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._stack = ExitStack()
        self._reading: dict[Path, sqlite3.Connection] = {}
        try:
            for path in paths:
                connection = self._stack.enter_context(closing(_open(path)))
                connection.execute("PRAGMA query_only = ON")
                # A transaction's view is that of its first read.
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
                self._reading[path] = connection
        except sqlite3.Error as error:
            self.end()
            raise errors.Unavailable(f"The stores cannot be copied right now: {error}.") from error

    def copy(self, folder: Path) -> None:
        """Write a copy of each file into the folder, on disk when this returns."""
        try:
            for path, connection in self._reading.items():
                (folder / path.name).touch(mode=0o600)
                with closing(_open(folder / path.name)) as target:
                    connection.backup(target)
                    # In one file, whoever copies it.
                    target.execute("PRAGMA journal_mode = DELETE")
        except sqlite3.Error as error:
            raise errors.Unavailable(f"The stores could not be copied: {error}.") from error

    def end(self) -> None:
        """Let the files go on without it."""
        self._stack.close()


def forget_salts(database: Path) -> None:
    """Take the secrets of the day out of a copy: with them, yesterday's addresses could be guessed."""
    with _changing(database) as connection:
        connection.execute("DELETE FROM salt")


def end_journal(queue: Path) -> None:
    """Have a copied queue want nothing of the journal that lay beside it: that goes on with what came later."""
    with _changing(queue) as connection:
        connection.execute("UPDATE journal SET epoch = 0, applied = 0")


def count_as_redelivered(queue: Path) -> None:
    """Have the workers ask for each job of a copied queue whether it is stored already."""
    with _changing(queue) as connection:
        for table in ("job", "bundle", "dead"):
            connection.execute(f"UPDATE {table} SET deliveries = max(deliveries, 1)")  # noqa: S608 - tables of ours


def check(path: Path) -> None:
    """Invalid when the file is damaged."""
    try:
        with closing(_open(path)) as connection:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        found = str(error)
    if found != "ok":
        raise errors.Invalid(f"{path} is damaged: {found}.")


def version(path: Path) -> int:
    """The schema version that is noted in the file."""
    with closing(_open(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def revision(path: Path) -> str | None:
    """The revision of the accounts' schema, None in a file without any."""
    with closing(_open(path)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'").fetchone():
            return None
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return None if found is None else str(found[0])


@contextmanager
def _changing(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(_open(path)) as connection:
        # What is deleted is overwritten.
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("BEGIN IMMEDIATE")
        yield connection
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = DELETE")


def _open(path: Path) -> sqlite3.Connection:
    # Not made where it is missing.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=WAIT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
