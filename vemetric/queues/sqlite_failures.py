"""What SQLite's errors mean: whether the disk or a request is to blame, and how the queue's users see it."""

import sqlite3

from vemetric import errors
from vemetric.queues import sqlite_schema

# Failures of the disk or the file, which no request is to blame for.
STORAGE_FAILURES = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    }
)


def is_storage_failure(error: Exception) -> bool:
    """Whether the disk or the file failed, rather than what was asked of it."""
    return isinstance(error, sqlite3.Error) and (getattr(error, "sqlite_errorcode", 0) & 0xFF) in STORAGE_FAILURES


def unavailable(error: sqlite3.Error | MemoryError) -> errors.Unavailable:
    """The error as the queue's users see it."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return errors.Unavailable("The disk is full.")
    if sqlite_schema.is_damage(error):
        return errors.Unavailable(f"The queue's file is damaged ({error}).")
    return errors.Unavailable(f"The queue cannot be used right now ({error}).")
