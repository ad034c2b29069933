"""What lies where in the data directory: the stores that are files, and what belongs to them."""

ANALYTICS_NAME = "analytics"
DATABASE_NAME = "vemetric.db"
QUEUE_NAME = "queue.db"
SECRET_NAME = "secret.key"  # noqa: S105 - the name of a file
PICTURES_NAME = "avatars"
# What SQLite keeps beside a file while it is open.
SQLITE_SUFFIXES = ("-wal", "-shm")
# The journal of the queue, beside its file: see queues/journal.py.
JOURNAL_SUFFIXES = ("-puts-0", "-puts-1")


def companions(name: str) -> list[str]:
    """What lies beside a store and is a part of it. A file of another moment's companions holds what nobody wrote."""
    suffixes = {DATABASE_NAME: SQLITE_SUFFIXES, QUEUE_NAME: SQLITE_SUFFIXES + JOURNAL_SUFFIXES}
    return [name + suffix for suffix in suffixes.get(name, ())]
