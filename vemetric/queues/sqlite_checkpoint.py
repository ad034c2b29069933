"""Copies the SQLite queue's log into its file beside the writer, so that no commit has to wait for it.

A checkpoint inside a commit takes tens of milliseconds under load, for which every hit would wait. Used by
sqlite_writer.py.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Callable

# So many commits are a few thousand pages of the log.
COMMITS_PER_CHECKPOINT = 400


class Checkpointer:
    """A thread with a connection of its own. It waits for nobody and nobody waits for it.

    done(): called in the thread after each checkpoint; what was committed meanwhile is still in the log.
    """

    def __init__(self, db: sqlite3.Connection, done: Callable[[], None]) -> None:
        self._db = db
        self._done = done
        self._wake = threading.Event()
        self._stopping = False
        self._commits = 0
        self._thread = threading.Thread(target=self._run, name="queue-checkpoint", daemon=True)
        self._thread.start()

    def committed(self) -> None:
        """Count a commit. Call in the writer's thread."""
        self._commits += 1
        if self._commits >= COMMITS_PER_CHECKPOINT:
            self._commits = 0
            self._wake.set()

    def close(self) -> None:
        """End the thread; may take as long as a checkpoint."""
        self._stopping = True
        self._wake.set()
        self._thread.join()
        self._db.close()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stopping:
                return
            # Where it fails, the writer meets the same trouble and tells of it.
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                self._done()
