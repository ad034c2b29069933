"""The writer's connection of the SQLite queue: its transaction, what that changes, and the upkeep of the file.

sqlite_writer.py decides what goes into a transaction.
"""

import logging
import sqlite3
import time
from collections.abc import Iterable, Sequence

from vemetric.clock import Clock
from vemetric.queues import sqlite_jobs, sqlite_schema
from vemetric.queues.job import Job, NewJob, Write
from vemetric.queues.sqlite_bundles import Fresh, Ids
from vemetric.queues.sqlite_checkpoint import Checkpointer
from vemetric.queues.sqlite_keys import PURGE_PORTION_KEYS, KeyLog

UPKEEP_SECONDS = 1.0
# While much of what it looks at has expired, upkeep comes more often: a crowd of keys must go as fast as it came.
HASTY_UPKEEP_SECONDS = 0.05
HASTY_SHARE = 1 / 4
# A full disk takes a small write now and then; it is well again when none was refused for so long.
WELL_AFTER_SECONDS = 10.0
# Freed pages are given back to the file system beyond this many, in portions: eagerly while nobody waits, and slowly
# while there is work, which would take them again soon.
FREE_PAGES_KEPT, VACUUM_PAGES = 1_024, 1_024
BUSY_FREE_PAGES_KEPT, BUSY_VACUUM_PAGES = 32_768, 256

log = logging.getLogger(__name__)


class Tables:
    """Belongs to the writer's thread, but for `jobs`, how many live, and `keys.peek*`."""

    def __init__(self, db: sqlite3.Connection, clock: Clock, checkpoints: sqlite3.Connection) -> None:
        self._db = db
        self._clock = clock
        self._may_restart_log = False
        self.keys = KeyLog(db)
        self.keys.recover(clock.now_ms())
        self.jobs = sqlite_jobs.live_count(db)
        self._ids = Ids(db)
        self._fresh = Fresh()
        self._names = sqlite_jobs.queue_names(db)
        self._kept_up_at = time.monotonic()
        self._upkeep_seconds = UPKEEP_SECONDS
        self._failed_at = 0.0
        self._wal_is_long = True
        self._changes = 0
        self._is_failing = False
        # Of the transaction under way.
        self._jobs_added = 0
        self._queues: frozenset[str] | None = frozenset()
        self._names_new: frozenset[str] = frozenset()
        self._checkpointer = Checkpointer(checkpoints, self._checkpointed)

    def _checkpointed(self) -> None:
        # Called in the checkpointer's thread.
        self._may_restart_log = True

    # The transaction under way

    def _begin(self) -> None:
        self._jobs_added, self._queues, self._names_new = 0, frozenset(), frozenset()
        if self._db.in_transaction:
            # Something unforeseen ended the last one halfway; the queue must not be stuck in it.
            self._roll_back()
        self._db.execute("BEGIN IMMEDIATE")

    def _commit(self) -> None:
        self.keys.flush(self._clock.now_ms())
        self._db.execute("COMMIT")
        self._committed()

    def _committed(self) -> None:
        self.keys.publish()
        self.jobs += self._jobs_added
        self._names |= self._names_new
        if self._changes != self._db.total_changes:
            self._changes = self._db.total_changes
            self._wal_is_long = True
            self._checkpointer.committed()
            if self._is_failing and time.monotonic() - self._failed_at >= WELL_AFTER_SECONDS:
                self._is_failing = False
                log.warning("The queue can be written again.")

    def _roll_back(self) -> None:
        # SQLite has rolled back by itself after some failures.
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self.keys.forget()

    def _failed(self, error: sqlite3.Error | MemoryError) -> None:
        self._failed_at = time.monotonic()
        if not self._is_failing:
            self._is_failing = True
            log.error("The queue cannot be written: %s", error)
        self._queues = frozenset()
        self._roll_back()

    def _apply(self, writes: Sequence[Write], put_at_ms: int | None = None) -> None:
        now_ms = self._clock.now_ms() if put_at_ms is None else put_at_ms
        jobs: list[NewJob] = []
        for write in writes:
            jobs += write.jobs
            self._take_keys(write)
        if not jobs:
            return
        names = {job.queue for job in jobs}
        if not names <= self._names:
            sqlite_jobs.note_queues(self._db, names)
            self._names_new |= names
        self._jobs_added += sqlite_jobs.put(self._db, jobs, now_ms, self._ids, self._fresh)
        self._touched(names)

    def _take_keys(self, write: Write) -> None:
        for key_set in write.keys:
            self.keys.set(key_set.key, key_set.value, key_set.expires_ms)
        if write.counters:
            self.keys.add(write.counters)

    def _touched(self, queues: Iterable[str]) -> None:
        if self._queues is not None:
            self._queues = self._queues.union(queues)

    def _freed(self, jobs: Sequence[Job]) -> None:
        # A job of any queue may come after one with a key.
        if any(job.key is not None for job in jobs):
            self._queues = None
        elif any(job.order_key is not None for job in jobs):
            self._touched({job.queue for job in jobs})

    # Upkeep, outside a transaction

    def maintain(self) -> None:
        """All upkeep at once."""
        self.fold()
        self.purge()
        while self._vacuum(FREE_PAGES_KEPT, VACUUM_PAGES):
            pass
        self._shorten_log()

    def copy_log(self) -> None:
        """Copy what is committed into the file, as far as nobody reads an older state. Waits for nobody."""
        self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def keep_up(self) -> None:
        """The upkeep that must not wait for a quiet moment, in small portions."""
        self._kept_up_at = time.monotonic()
        self._upkeep_seconds = HASTY_UPKEEP_SECONDS if self.purge() else UPKEEP_SECONDS
        self._vacuum(BUSY_FREE_PAGES_KEPT, BUSY_VACUUM_PAGES)

    def tidy(self) -> bool:
        """The upkeep of a quiet moment: bounded, because the next put waits for it. True if there is more to do."""
        self.fold()
        is_behind = self.purge()
        has_more = self._vacuum(FREE_PAGES_KEPT, VACUUM_PAGES)
        self._shorten_log()
        return is_behind or has_more

    def fold(self) -> None:
        """Write the logged keys and counters to their tables."""
        while self.keys.start_fold():
            self._begin()
            self._commit()

    def purge(self) -> bool:
        """Delete expired keys of the next portion of the table. True if there were many, so that more are likely."""
        self._begin()
        purged = self.keys.purge(self._clock.now_ms())
        self._commit()
        return purged >= PURGE_PORTION_KEYS * HASTY_SHARE

    def _vacuum(self, pages_kept: int, pages: int) -> bool:
        if self._db.execute("PRAGMA freelist_count").fetchone()[0] <= pages_kept:
            return False
        # A plain execute stops at the first page, because the pragma gives a row without columns for each.
        self._db.executescript(f"PRAGMA incremental_vacuum({pages:d})")
        self._wal_is_long = True
        return True

    def _shorten_log(self) -> None:
        if self._wal_is_long:
            # A backup that reads an older state is not waited for: hits would wait with it.
            self._db.execute("PRAGMA busy_timeout = 0")
            busy, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._db.execute(f"PRAGMA busy_timeout = {sqlite_schema.LOCK_WAIT_SECONDS * 1000:d}")
            self._wal_is_long = bool(busy)
