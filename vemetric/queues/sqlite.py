"""Queue and Keys in one SQLite file. The loop's side is here; the writer's thread (group commit) is sqlite_writer.py.

A put is durable when it returns: all writes that wait share one transaction and one fsync. Reads have a connection and
a thread of their own and never wait for the writer. Figures: docs/decisions/0002-queue.md.
"""

import asyncio
import contextlib
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from vemetric import errors
from vemetric.clock import Clock
from vemetric.model.store_facts import StoreFacts
from vemetric.queues import sqlite_board, sqlite_failures, sqlite_jobs, sqlite_keys, sqlite_live, sqlite_schema
from vemetric.queues.crowd import CROWD_PER_SECOND
from vemetric.queues.group import GroupThread, Request
from vemetric.queues.job import DeadJob, Job, KeySet, ListedJob, LiveJob, QueueStats, State, Write
from vemetric.queues.journal_line import JournalLine
from vemetric.queues.queue import NONE, Told
from vemetric.queues.sqlite_calls import Call, Committed, Mode
from vemetric.queues.sqlite_writer import Writer

JOBS_MAX = 1_000_000
IDLE_SECONDS = 1.0
GATHER_SECONDS = 0.0005
READER_IDLE_SECONDS = 60.0
# A wait looks again at least this often, whatever the clock did meanwhile.
WAIT_SECONDS_MAX = 30.0

T = TypeVar("T")


class SqliteQueue:
    """Implements `Queue` and `Keys`. Made by `open`, on the loop that will use it; ended by `close`.

    jobs_max bounds the jobs that are neither done nor dead; a put beyond it raises QueueFull.
    """

    def __init__(
        self,
        path: Path,
        clock: Clock,
        jobs_max: int,
        writer: Writer,
        reader: sqlite3.Connection,
        crowd_per_second: float,
    ) -> None:
        self.path = path
        self.jobs_max = jobs_max
        self._clock = clock
        self._writer = writer
        self._reader = reader
        self._jobs = writer.jobs
        self._jobs_under_way = 0
        # What could not be given back, by queue: done before the next claim, else it lies until its leases end.
        self._owed: dict[str, list[Job]] = {}
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._write_line = GroupThread(
            "queue-writer", writer.serve, writer.idle, IDLE_SECONDS, self._committed, GATHER_SECONDS
        )
        writer.answer = self._write_line.answer
        self._line = JournalLine(path, self._write_line.submit, self._refused, clock, crowd_per_second)
        self._read_line = GroupThread(
            "queue-reader", self._read_group, lambda: False, READER_IDLE_SECONDS, lambda _: None
        )

    @classmethod
    async def open(
        cls,
        path: Path | str,
        clock: Clock,
        *,
        jobs_max: int = JOBS_MAX,
        is_sole_owner: bool = False,
        crowd_per_second: float = CROWD_PER_SECOND,
    ) -> Self:
        """Open or make the file. Misconfigured if it is newer, damaged or not ours.

        is_sole_owner: no other process works on the file's jobs, so that leases left by one that was killed need not
        run out before their jobs are done. crowd_per_second: from how many writes a second on they are kept in the
        journal first.
        """
        path = Path(path)
        writer = await asyncio.to_thread(Writer.open, path, clock, is_sole_owner)
        try:
            reader = await asyncio.to_thread(sqlite_schema.open_reader, path)
        except sqlite3.Error as error:
            writer.close()
            raise errors.Misconfigured(f"The queue's file {path} cannot be read: {error}.") from error
        return cls(path, clock, jobs_max, writer, reader, crowd_per_second)

    async def catch_up(self) -> None:
        """Bring what is in the journal alone into the file. Unavailable while the disk refuses it."""
        await self._call(lambda _: None)

    async def close(self) -> None:
        """Finish what is being written and close."""
        await self._line.close()
        await self._write_line.stop()
        await self._read_line.stop()
        await asyncio.to_thread(self._writer.close)
        self._reader.close()
        for waiting in self._waiting.values():
            _wake(waiting)

    # Queue

    async def put(self, write: Write) -> None:
        if not self._has_room(write) and self._line.apply():
            # What is not in the tables yet counts in full, though some of it may be there already, by its key.
            await self._call(lambda _: None)
        done = asyncio.get_running_loop().create_future()
        self.submit(write, partial(_tell, done))
        await done

    def submit(self, write: Write, told: Told) -> None:
        if not self._has_room(write):
            raise errors.QueueFull
        self._line.submit(write, told)
        self._jobs_under_way += len(write.jobs)

    def _has_room(self, write: Write) -> bool:
        return not write.jobs or self._jobs + self._jobs_under_way + len(write.jobs) <= self.jobs_max

    async def claim(self, queue: str, limit: int, lease_seconds: float) -> list[Job]:
        await self.release(self._owed.pop(queue, ()))
        future = self._call(partial(Writer.claim, queue=queue, limit=limit, lease_seconds=lease_seconds), Mode.ALONE)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            # The claim happens all the same; nobody would do its jobs before their lease ran out.
            future.add_done_callback(self._return_unwanted)
            raise

    async def wait(self, queue: str, timeout_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + timeout_seconds
        while (left_seconds := ends_at - loop.time()) > 0:
            # Registered before looking, so that a put in between is not missed.
            woken = loop.create_future()
            self._waiting.setdefault(queue, set()).add(woken)
            try:
                at_ms = await self._read(partial(sqlite_jobs.next_at_ms, queue=queue))
                now_ms = self._clock.now_ms()
                if at_ms is not None and at_ms <= now_ms:
                    return
                if at_ms is not None:
                    left_seconds = min(left_seconds, (at_ms - now_ms + 1) / 1000)
                await asyncio.wait((woken,), timeout=min(left_seconds, WAIT_SECONDS_MAX))
            finally:
                self._waiting[queue].discard(woken)

    async def ack(self, jobs: Sequence[Job], write: Write | None = None) -> None:
        if jobs or write:
            await self._call(partial(Writer.ack, jobs=jobs, write=write or Write()), Mode.ALONE)

    async def extend(self, jobs: Sequence[Job], lease_seconds: float) -> None:
        until_ms = await self._call(partial(Writer.extend, jobs=jobs, lease_seconds=lease_seconds), Mode.ALONE)
        for job in jobs:
            job.lease_until_ms = until_ms

    async def retry(self, jobs: Sequence[Job], delay_seconds: float, error: str) -> None:
        await self._call(partial(Writer.give_back, jobs=jobs, delay_seconds=delay_seconds, failures=1, error=error))

    async def release(self, jobs: Sequence[Job], delay_seconds: float = 0) -> None:
        if not jobs:
            return
        give_back = partial(Writer.give_back, jobs=jobs, delay_seconds=delay_seconds, failures=0, error=None)
        try:
            await self._call(give_back, Mode.ALONE)
        except errors.Unavailable:
            self._owed.setdefault(jobs[0].queue, []).extend(jobs)
            raise

    async def bury(self, jobs: Sequence[Job], error: str) -> None:
        await self._call(partial(Writer.bury, jobs=jobs, error=error))

    async def dead(self, queue: str | None, limit: int, before_id: int | None = None) -> list[DeadJob]:
        return await self._read(partial(sqlite_jobs.dead, queue=queue, limit=limit, before_id=before_id))

    async def revive(self, ids: Sequence[int]) -> int:
        return await self._call(partial(Writer.revive, ids=ids))

    async def pause(self, queue: str) -> None:
        await self._call(partial(Writer.pause, queue=queue))

    async def resume(self, queue: str) -> None:
        await self._call(partial(Writer.resume, queue=queue))

    async def paused(self) -> list[str]:
        return await self._read(sqlite_jobs.paused)

    async def listed(
        self, queue: str, state: State, limit: int, before_id: int | None = None, *, with_payloads: bool = False
    ) -> list[ListedJob]:
        return await self._read(lambda db: sqlite_board.listed(db, queue, state, limit, before_id, with_payloads))

    async def look(self, id_: int) -> ListedJob | None:
        return await self._read(partial(sqlite_board.look, id_=id_))

    async def promote(self, ids: Sequence[int]) -> int:
        return await self._call(lambda writer: writer.by_hand(partial(sqlite_board.promote, ids=ids)), Mode.ALONE)

    async def discard(self, jobs: Sequence[ListedJob], counters: Mapping[int, str] = NONE) -> list[ListedJob]:
        def run(writer: Writer) -> list[ListedJob]:
            gone = writer.by_hand(partial(sqlite_board.discard, jobs=jobs))
            writer.keys.add(Counter(counters[job.id] for job in gone if job.id in counters))
            return gone

        return await self._call(run, Mode.ALONE)

    async def discard_dead(self, ids: Sequence[int], counters: Mapping[int, str] = NONE) -> list[int]:
        def run(writer: Writer) -> list[int]:
            gone = writer.by_hand(partial(sqlite_board.discard_dead, ids=ids))
            writer.keys.add(Counter(counters[id_] for id_ in gone if id_ in counters))
            return gone

        return await self._call(run, Mode.ALONE)

    def live(self, queue: str) -> AsyncIterator[list[LiveJob]]:
        return sqlite_live.pages(self._read, queue)

    async def stats(self) -> list[QueueStats]:
        return await self._read(partial(sqlite_jobs.stats, now_ms=self._clock.now_ms()))

    async def facts(self) -> StoreFacts:
        return StoreFacts("SQLite", sqlite3.sqlite_version, await asyncio.to_thread(sqlite_schema.bytes_of, self.path))

    # Keys

    async def get(self, key: str) -> bytes | None:
        now_ms = self._clock.now_ms()
        entry = self._line.peek(key) or self._writer.keys.peek(key)
        if entry is not None:
            return sqlite_keys.alive(entry, now_ms)
        return await self._read(partial(sqlite_keys.read, key=key, now_ms=now_ms))

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        now_ms = self._clock.now_ms()
        entries = {key: self._line.peek(key) or self._writer.keys.peek(key) for key in keys}
        stored = [key for key, entry in entries.items() if entry is None]
        found = await self._read(partial(sqlite_keys.read_many, keys=stored, now_ms=now_ms)) if stored else {}
        for key, entry in entries.items():
            value = sqlite_keys.alive(entry, now_ms) if entry else None
            if value is not None:
                found[key] = value
        return found

    async def set(self, sets: Sequence[KeySet]) -> None:
        await self.put(Write(keys=list(sets)))

    async def set_if_absent(self, key: str, value: bytes, expires_ms: int) -> bool:
        return await self._call(partial(Writer.set_if_absent, key=key, value=value, expires_ms=expires_ms))

    async def count_up(self, key: str, expires_ms: int) -> tuple[int, int]:
        return await self._call(partial(Writer.count_up, key=key, expires_ms=expires_ms))

    async def delete(self, key: str, value: bytes | None = None) -> bool:
        return await self._call(partial(Writer.delete, key=key, value=value))

    async def scan(self, prefix: str, limit: int) -> list[tuple[str, bytes]]:
        newer = self._writer.keys.peek_range(prefix) | self._line.peek_range(prefix)
        now_ms = self._clock.now_ms()
        return await self._read(partial(sqlite_keys.scan, prefix=prefix, limit=limit, newer=newer, now_ms=now_ms))

    async def add(self, counters: dict[str, int]) -> None:
        await self.put(Write(counters=dict(counters)))

    async def counters(self, prefix: str) -> dict[str, int]:
        return await self._call(partial(Writer.counters, prefix=prefix))

    async def maintain(self) -> None:
        """Do at once what is otherwise done at idle times: fold the key log, purge, shorten the files."""
        await self._call(Writer.maintain, Mode.BARE)

    # The loop's side of the threads

    def _call(self, run: Callable[[Writer], T], mode: Mode = Mode.TOGETHER) -> "asyncio.Future[T]":
        self._line.apply()
        return self._write_line.submit(Call(run, mode))

    async def _read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        if self._line.apply():
            # While the disk refuses, what is in the tables is told.
            with contextlib.suppress(errors.Unavailable):
                await self._write_line.submit(Call(lambda _: None))
        if self._write_line.has_ended:
            # Nothing is taken any more: whoever asks whether the queue is well must hear of it.
            raise errors.Unavailable("The queue is closed.")
        result: T = await self._read_line.submit(run)
        return result

    def _read_group(self, requests: list[Request]) -> None:
        answers: list[tuple[asyncio.Future[Any], Any]] = []
        for run, future in requests:
            try:
                answers.append((future, run(self._reader)))
            except sqlite3.OperationalError as error:
                answers.append((future, sqlite_failures.unavailable(error)))
            except Exception as error:
                answers.append((future, error))
        self._read_line.answer(answers)

    def _committed(self, committed: Committed) -> None:
        self._jobs = committed.jobs
        self._jobs_under_way -= committed.jobs_asked
        if committed.queues is None:
            for waiting in self._waiting.values():
                _wake(waiting)
            return
        for queue in committed.queues:
            if queue in self._waiting:
                _wake(self._waiting[queue])

    def _refused(self, jobs: int) -> None:
        self._jobs_under_way -= jobs

    def _return_unwanted(self, claimed: "asyncio.Future[list[Job]]") -> None:
        if claimed.cancelled() or claimed.exception() is not None or not claimed.result():
            return
        give_back = partial(Writer.give_back, jobs=claimed.result(), delay_seconds=0, failures=0, error=None)
        # Where it cannot be done, as when the queue is closing, the leases run out.
        with contextlib.suppress(errors.Unavailable):
            self._call(give_back).add_done_callback(lambda future: future.cancelled() or future.exception())


def _tell(done: "asyncio.Future[None]", error: BaseException | None) -> None:
    if done.done():
        # Only cancelling can have done that; the requester is gone.
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


def _wake(waiting: set[asyncio.Future[None]]) -> None:
    for future in waiting:
        if not future.done():
            future.set_result(None)
