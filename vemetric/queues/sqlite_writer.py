"""The writer of the SQLite queue: one connection, used by one thread, committing whatever waits as one transaction.

sqlite.py hands requests over; the statements are in sqlite_jobs.py, sqlite_claims.py and sqlite_keys.py.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from vemetric import errors
from vemetric.clock import Clock
from vemetric.queues import journal, sqlite_claims, sqlite_commit, sqlite_failures, sqlite_jobs, sqlite_schema
from vemetric.queues.group import Answers, Request
from vemetric.queues.job import Job, NewJob, Write
from vemetric.queues.sqlite_bundles import Fresh, Ids
from vemetric.queues.sqlite_calls import Call, Committed, Journaled, Mode
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

T = TypeVar("T")
log = logging.getLogger(__name__)


class Writer:
    """Serves requests in the writer's thread. Everything but `open`, `jobs` and `keys.peek*` belongs to that thread."""

    answer: Callable[[Answers, Any], None]

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
        # What the journal holds and the tables lack, with who waits for that to change.
        self._journaled: list[Request] = []
        self._is_failing = False
        # Of the transaction under way.
        self._jobs_added = 0
        self._queues: frozenset[str] | None = frozenset()
        self._names_new: frozenset[str] = frozenset()
        self._checkpointer = Checkpointer(checkpoints, self._checkpointed)

    @classmethod
    def open(cls, path: Path, clock: Clock, is_sole_owner: bool = False) -> Self:
        """Open the file. Misconfigured if it cannot be used."""
        db = sqlite_schema.open_writer(path)
        try:
            if is_sole_owner:
                sqlite_jobs.end_leases(db)
            writer = cls(db, clock, sqlite_schema.open_checkpointer(path))
            try:
                writer.recover(path)
            except BaseException:
                writer.close()
                raise
            return writer
        except (sqlite3.Error, msgspec.DecodeError) as error:
            db.close()
            raise errors.Misconfigured(sqlite_schema.refusal(path, error)) from error

    def close(self) -> None:
        """Fold, shorten the log and close; what cannot be done now is done at the next start."""
        self._checkpointer.close()
        try:
            self.fold()
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            log.warning("The queue's file could not be tidied up on closing: %s", error)
        self._db.close()

    def _checkpointed(self) -> None:
        # Called in the checkpointer's thread.
        self._may_restart_log = True

    def serve(self, requests: list[Request]) -> None:
        """Answer every request: writes and short calls in one transaction, then each long call in its own.

        What the journal holds goes first: it was told, and what is asked for now may stand on it.
        """
        self._journaled += [request for request in requests if type(request[0]) is Journaled]
        if self._journaled:
            failure = self._apply_journaled()
            requests = [request for request in requests if type(request[0]) is not Journaled]
            if failure is not None:
                self._refuse(requests, failure)
                return
        together = [request for request in requests if type(request[0]) is Write or request[0].mode is Mode.TOGETHER]
        if together:
            self._transact(together)
        for request in requests:
            if type(request[0]) is Call and request[0].mode is Mode.ALONE:
                self._transact([request])
            elif type(request[0]) is Call and request[0].mode is Mode.BARE:
                self._quietly(request[0].run)
                self.answer([(request[1], None)], None)
        if self._may_restart_log:
            # Little is left to copy, and while nobody writes all of it is: the next commit begins the log anew.
            self._may_restart_log = False
            self._quietly(Writer.copy_log)
        if time.monotonic() - self._kept_up_at >= self._upkeep_seconds:
            self._quietly(Writer.keep_up)

    def idle(self) -> bool:
        """Use a quiet moment; True if there is more to tidy up."""
        if self._journaled and self._apply_journaled() is not None:
            return False
        return bool(self._quietly(Writer.tidy))

    # The calls

    def claim(self, queue: str, limit: int, lease_seconds: float) -> list[Job]:
        return sqlite_claims.claim(self._db, queue, limit, lease_seconds, self._clock.now_ms(), self._fresh)

    def ack(self, jobs: Sequence[Job], write: Write) -> None:
        self._jobs_added -= sqlite_jobs.remove(self._db, jobs, self._clock.now_ms())
        self._freed(jobs)
        self._apply([write])

    def extend(self, jobs: Sequence[Job], lease_seconds: float) -> int:
        return sqlite_jobs.extend(self._db, jobs, lease_seconds, self._clock.now_ms())

    def give_back(self, jobs: Sequence[Job], delay_seconds: float, failures: int, error: str | None) -> None:
        sqlite_jobs.give_back(self._db, jobs, delay_seconds, failures, error, self._clock.now_ms())
        self._touched({job.queue for job in jobs})

    def bury(self, jobs: Sequence[Job], error: str) -> None:
        self._jobs_added -= sqlite_jobs.bury(self._db, jobs, error, self._clock.now_ms())
        self._freed(jobs)

    def revive(self, ids: Sequence[int]) -> int:
        revived = sqlite_jobs.revive(self._db, ids, self._ids)
        self._jobs_added += revived
        self._queues = None
        return revived

    def pause(self, queue: str) -> None:
        sqlite_jobs.pause(self._db, queue)

    def resume(self, queue: str) -> None:
        sqlite_jobs.resume(self._db, queue)
        self._touched((queue,))

    def by_hand(self, change: Callable[[sqlite3.Connection], tuple[T, int]]) -> T:
        result, removed = change(self._db)
        self._jobs_added -= removed
        self._queues = None
        return result

    def set_if_absent(self, key: str, value: bytes, expires_ms: int) -> bool:
        if self.keys.get(key, self._clock.now_ms()) is not None:
            return False
        self.keys.set(key, value, expires_ms)
        return True

    def count_up(self, key: str, expires_ms: int) -> tuple[int, int]:
        held = self.keys.entry(key, self._clock.now_ms())
        count, until_ms = (1, expires_ms) if held is None else (int(held[0] or b"0") + 1, held[1])
        self.keys.set(key, b"%d" % count, until_ms)
        return count, until_ms

    def delete(self, key: str, value: bytes | None) -> bool:
        held = self.keys.get(key, self._clock.now_ms())
        if held is None or (value is not None and held != value):
            return False
        self.keys.set(key, None, 0)
        return True

    def counters(self, prefix: str) -> dict[str, int]:
        return self.keys.counters(prefix)

    # The journal

    def begin_epoch(self, epoch: int) -> None:
        """Note that what is in the journal so far is done with, and which frames there will count."""
        self._db.execute("UPDATE journal SET epoch = ?, applied = 0", (epoch,))

    def recover(self, path: Path) -> None:
        """Bring what an earlier process left in the journal into the tables. Misconfigured if it cannot be read."""
        epoch, applied = self._db.execute("SELECT epoch, applied FROM journal").fetchone()
        if not epoch:
            return
        try:
            frames = journal.read(path, epoch, applied)
        except BlockingIOError:
            # Another process works with it.
            return
        except (OSError, msgspec.DecodeError) as error:
            raise errors.Misconfigured(f"The journal of the queue's file {path} cannot be read: {error}.") from error
        self._begin()
        self._apply_told([write for frame in frames for write in frame.writes], self._clock.now_ms())
        self.begin_epoch(0)
        self._commit()

    def _apply_journaled(self) -> errors.Unavailable | None:
        """Write what the journal holds to the tables. When the disk refuses, why: it is kept and tried again."""
        requests = self._journaled
        writes = [write for request, _ in requests for write in request.writes]
        try:
            self._begin()
            self._apply_told(writes, requests[0][0].put_at_ms)
            self._db.execute("UPDATE journal SET applied = ?", (requests[-1][0].number,))
            self._commit()
        except (sqlite3.Error, MemoryError) as error:
            self._failed(error)
            return sqlite_failures.unavailable(error)
        self._journaled = []
        asked = sum(len(write.jobs) for write in writes)
        self.answer([(future, None) for _, future in requests], Committed(self.jobs, asked, self._queues))
        return None

    def _apply_told(self, writes: list[Write], put_at_ms: int) -> None:
        """Apply writes that were told, within a transaction. They were looked at before that; should one not go into
        the tables all the same, it must not hold up the others for ever.
        """
        try:
            self._apply(writes, put_at_ms)
        except Exception as error:
            if sqlite_failures.is_storage_failure(error) or isinstance(error, MemoryError):
                raise
            self._roll_back()
            self._begin()
            for write in writes:
                failure = self._guarded(write)
                if failure is not None:
                    log.critical("A write that was acknowledged cannot be kept: %r", write, exc_info=failure)

    def _refuse(self, requests: list[Request], failure: errors.Unavailable) -> None:
        asked = sum(len(request.jobs) for request, _ in requests if type(request) is Write)
        self.answer([(future, failure) for _, future in requests], Committed(self.jobs, asked, frozenset()))

    # Transactions

    def _transact(self, requests: list[Request]) -> None:
        asked = sum(len(request.jobs) for request, _ in requests if type(request) is Write)
        try:
            if self._commit_whole(requests):
                results: list[Any] = [None] * len(requests)
            else:
                self._begin()
                results = self._run(requests)
                self._commit()
        except sqlite3.Error as error:
            # The disk, not a request, is at fault: everybody hears of it and nothing is half written.
            self._failed(error)
            results = [sqlite_failures.unavailable(error) for _ in requests]
        except Exception as error:
            # Only a bug or a lack of memory leads here; what was asked for must not stay counted as under way.
            log.exception("A transaction of the queue failed")
            self._queues = frozenset()
            self._roll_back()
            results = [error for _ in requests]
        answers = [(future, result) for (_, future), result in zip(requests, results, strict=True)]
        self.answer(answers, Committed(self.jobs, asked, self._queues))

    def _commit_whole(self, requests: list[Request]) -> bool:
        """Do writes of the usual kind in one statement; False, and nothing is done, if they are not of that kind."""
        if self.keys.is_folding or self._db.in_transaction:
            return False
        if not all(type(request) is Write for request, _ in requests):
            return False
        now_ms = self._clock.now_ms()
        jobs = [job for write, _ in requests for job in write.jobs]
        parts = sqlite_commit.parts(jobs, now_ms) if jobs else None
        if parts is None or parts.queue not in self._names:
            return False
        self._jobs_added, self._queues, self._names_new = 0, frozenset((parts.queue,)), frozenset()
        for write, _ in requests:
            self._take_keys(write)
        try:
            self._jobs_added = sqlite_commit.commit(
                self._db, parts, now_ms, self._ids, self._fresh, *self.keys.logged()
            )
        except Exception as error:
            self.keys.forget()
            if sqlite_failures.is_storage_failure(error):
                raise
            # One of the writes is bad; it is found where each can be undone by itself.
            return False
        self._committed()
        return True

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

    def _quietly(self, run: Callable[["Writer"], T]) -> T | None:
        """Run upkeep; when it fails it is tried again at its next time."""
        try:
            return run(self)
        except sqlite3.Error as error:
            self._failed(error)
            return None

    def _run(self, requests: list[Request]) -> list[Any]:
        """The result of each request. Writes go first and as one; if one of them is bad, each by itself."""
        writes = [request for request, _ in requests if type(request) is Write]
        together = True
        try:
            self._apply(writes)
            self.keys.check()
        except Exception as error:
            if sqlite_failures.is_storage_failure(error):
                raise
            together = False
            self._roll_back()
            self._begin()
        return [None if together and type(request) is Write else self._guarded(request) for request, _ in requests]

    def _guarded(self, request: Write | Call) -> Any:
        """Run one request so that its failure undoes only itself."""
        mark = (self._jobs_added, self._queues, self._names_new, self.keys.mark())
        self._db.execute("SAVEPOINT request")
        try:
            result = None
            if isinstance(request, Call):
                result = request.run(self)
            else:
                self._apply([request])
            self.keys.check()
        except Exception as error:
            if sqlite_failures.is_storage_failure(error):
                raise
            self._db.execute("ROLLBACK TO request")
            self._jobs_added, self._queues, self._names_new, keys = mark
            self.keys.restore(keys)
            result = error
        self._db.execute("RELEASE request")
        return result

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
