"""The writer of the SQLite queue: one connection, used by one thread, committing whatever waits as one transaction.

sqlite.py hands requests over; the statements are in sqlite_jobs.py, sqlite_claims.py and sqlite_keys.py,
the connection's transaction in sqlite_tables.py.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from vemetric import errors
from vemetric.clock import Clock
from vemetric.queues import journal, sqlite_claims, sqlite_commit, sqlite_failures, sqlite_jobs, sqlite_schema
from vemetric.queues.group import Answers, Request
from vemetric.queues.job import Job, Write
from vemetric.queues.sqlite_calls import Call, Committed, Journaled, Mode
from vemetric.queues.sqlite_tables import Tables

T = TypeVar("T")
log = logging.getLogger(__name__)


class Writer(Tables):
    """Serves requests in the writer's thread. Everything but `open`, `jobs` and `keys.peek*` belongs to that thread."""

    answer: Callable[[Answers, Any], None]

    def __init__(self, db: sqlite3.Connection, clock: Clock, checkpoints: sqlite3.Connection) -> None:
        super().__init__(db, clock, checkpoints)
        # What the journal holds and the tables lack, with who waits for that to change.
        self._journaled: list[Request] = []
        # Those that this process began.
        self._epochs: set[int] = set()

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
        """Note that what is in the journal so far is done with, and which frames there will count. Unavailable if
        another process has left something there, which the next start brings into the tables.
        """
        (stored,) = self._db.execute("SELECT epoch FROM journal").fetchone()
        if stored and stored not in self._epochs:
            raise errors.Unavailable("Another process has written the queue's journal.")
        self._epochs.add(epoch)
        self._db.execute("UPDATE journal SET epoch = ?, applied = 0", (epoch,))

    def recover(self, path: Path) -> None:
        """Bring what an earlier process left in the journal into the tables. Misconfigured if it cannot be read."""
        self._begin()
        epoch, applied = self._db.execute("SELECT epoch, applied FROM journal").fetchone()
        frames = []
        if epoch:
            try:
                frames = journal.read(path, epoch, applied)
                self._epochs.add(epoch)
            except BlockingIOError:
                # Another process works with it.
                log.warning("Another process works with the journal of the queue's file %s.", path)
            except (OSError, msgspec.DecodeError) as error:
                raise errors.Misconfigured(
                    f"The journal of the queue's file {path} cannot be read: {error}."
                ) from error
        if epoch in self._epochs:
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
            if any(request.is_end for request, _ in requests):
                self._db.execute("UPDATE journal SET epoch = 0")
            self._commit()
        except (sqlite3.Error, MemoryError) as error:
            self._failed(error)
            return sqlite_failures.unavailable(error)
        except Exception as error:
            # Only a bug leads here; what was told is kept and tried again.
            log.exception("The journal could not be brought into the tables")
            self._roll_back()
            return errors.Unavailable(f"The queue cannot be used right now ({error}).")
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
            self.keys.check()
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
            if sqlite_failures.is_storage_failure(error) or isinstance(error, MemoryError):
                raise
            self._db.execute("ROLLBACK TO request")
            self._jobs_added, self._queues, self._names_new, keys = mark
            self.keys.restore(keys)
            result = error
        self._db.execute("RELEASE request")
        return result
