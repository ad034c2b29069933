"""The journal of the SQLite queue: what was told is there after a kill at any moment, and a disk that refuses loses and
doubles nothing.
"""

import asyncio
import contextlib
import errno
import os
import random
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.kit.journaled import journaling, left_by_a_kill
from vemetric import errors
from vemetric.clock import FrozenClock
from vemetric.queues import crowd as crowds
from vemetric.queues import disk_sync, journal, journal_line
from vemetric.queues.disk_sync import KernelSync, ThreadSync
from vemetric.queues.job import KeySet, NewJob, Write
from vemetric.queues.journal import PAGE_BYTES, JournalFiles
from vemetric.queues.sqlite import SqliteQueue

SMALL_FILE_BYTES = 64 * 1024
NEVER_SECONDS = 3600.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
async def crowd(file: Path, clock: FrozenClock) -> AsyncIterator[SqliteQueue]:
    """A queue that writes to its journal."""
    queue = await SqliteQueue.open(file, clock, crowd_per_second=0)
    await journaling(queue)
    assert queue._line.is_journaling
    yield queue
    await queue.close()


@pytest.fixture
def unapplied(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told stays in the journal until somebody asks for it."""
    monkeypatch.setattr(journal_line, "APPLY_SECONDS", NEVER_SECONDS)


async def killed(file: Path, clock: FrozenClock, **options: float) -> SqliteQueue:
    """The queue as another process finds it after this one was killed now."""
    copy = file.parent / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    left_by_a_kill(file.parent, copy)
    return await SqliteQueue.open(copy / "queue.db", clock, **options)


def hit(number: int) -> Write:
    return Write(
        jobs=[NewJob("line", b"%d" % number)],
        keys=[KeySet(f"key{number}", b"v"), KeySet("last", b"%d" % number)],
        counters={"hits": 1},
    )


async def contents(queue: SqliteQueue) -> tuple[list[bytes], dict[str, int], bytes | None]:
    """The payloads of its jobs in order, its counters, and the key that every hit set."""
    jobs = []
    while claimed := await queue.claim("line", 5_000, 60):
        jobs += [job.payload for job in claimed]
    return jobs, await queue.counters(""), await queue.get("last")


async def test_what_was_told_is_there_after_a_kill_before_the_tables_have_it(crowd, file, clock, unapplied):
    for number in range(5):
        await crowd.put(hit(number))
    assert crowd._writer.keys.peek("last") is None
    left = await killed(file, clock)
    assert await contents(left) == ([b"0", b"1", b"2", b"3", b"4"], {"hits": 5}, b"4")
    await left.close()


async def test_nothing_comes_twice_however_often_a_start_is_killed(crowd, file, clock, unapplied):
    await crowd.put(hit(0))
    first = await killed(file, clock)
    second_file = first.path.parent / "again" / "queue.db"
    left_by_a_kill(first.path.parent, second_file.parent)
    await first.close()
    second = await SqliteQueue.open(second_file, clock)
    assert await contents(second) == ([b"0"], {"hits": 1}, b"0")
    await second.close()


async def test_a_kill_while_a_crowd_writes_over_its_files_loses_nothing(file, clock):
    """The files hold some ten groups each, so that they are written over again and again."""
    queue = await SqliteQueue.open(file, clock, crowd_per_second=0)
    queue._line._file_bytes = SMALL_FILE_BYTES
    await journaling(queue)
    told: set[int] = set()
    numbers = iter(range(1_000_000))

    async def produce() -> None:
        for number in numbers:
            await queue.put(hit(number))
            told.add(number)
            if len(told) >= 3_000:
                return

    producing = asyncio.gather(*(produce() for _ in range(8)))
    while not producing.done():
        await asyncio.sleep(random.uniform(0, 0.05))
        before = set(told)
        # Copying takes a moment in which nothing is written: the loop stands still.
        left = await killed(file, clock)
        jobs, counters, _ = await contents(left)
        found = [int(job) for job in jobs]
        assert before <= set(found)
        assert len(found) == len(set(found)) == counters.get("hits", 0)
        await left.close()
    await producing
    assert len(await contents(queue)) == 3
    await queue.close()


async def test_a_torn_frame_and_what_came_after_it_are_left_out(crowd, file, clock, unapplied):
    for number in range(3):
        await crowd.put(hit(number))
    puts = journal.paths(file)[0]
    data = bytearray(puts.read_bytes())
    data[PAGE_BYTES + 40] ^= 1
    copy = file.parent / "torn"
    left_by_a_kill(file.parent, copy)
    (copy / puts.name).write_bytes(data)
    left = await SqliteQueue.open(copy / "queue.db", clock)
    assert await contents(left) == ([b"0"], {"hits": 1}, b"0")
    await left.close()


async def test_frames_of_another_epoch_or_that_are_in_the_tables_are_not_read(file):
    file.touch()
    files = JournalFiles.open(file, 1, SMALL_FILE_BYTES)
    files.begin(7)
    for number in range(3):
        assert files.append(journal.encoded([hit(number)])) == number + 1
    files.close()
    assert [frame.number for frame in journal.read(file, 7, 0)] == [1, 2, 3]
    assert [frame.writes for frame in journal.read(file, 7, 2)] == [[hit(2)]]
    assert journal.read(file, 8, 0) == journal.read(file, 7, 3) == []


async def test_a_file_another_process_has_is_neither_read_nor_written(file):
    file.touch()
    files = JournalFiles.open(file, 2, SMALL_FILE_BYTES)
    with pytest.raises(BlockingIOError):
        JournalFiles.open(file, 2, SMALL_FILE_BYTES)
    with pytest.raises(BlockingIOError):
        journal.read(file, 1, 0)
    files.close()
    JournalFiles.open(file, 2, SMALL_FILE_BYTES).close()


async def test_what_is_told_can_be_read_at_once(crowd, unapplied):
    await crowd.put(hit(1))
    assert await crowd.get("last") == b"1"
    assert await crowd.get_many(["last", "key1", "nothing"]) == {"last": b"1", "key1": b"v"}
    assert await crowd.scan("key", 10) == [("key1", b"v")]
    assert await crowd.counters("") == {"hits": 1}
    [stats] = await crowd.stats()
    assert stats.ready == 1


async def test_a_large_write_is_put_in_its_turn(crowd, file, clock):
    large = Write(jobs=[NewJob("line", b"x" * 100_000)], keys=[KeySet("last", b"large")])
    await asyncio.gather(*(crowd.put(write) for write in (hit(1), large, hit(2))))
    left = await killed(file, clock)
    jobs, _, last = await contents(left)
    assert (jobs, last) == ([b"1", b"x" * 100_000, b"2"], b"2")
    await left.close()


async def test_a_write_of_many_names_is_large_too(crowd, file, clock):
    many = Write(counters={f"{'ä' * 50}{number}": 1 for number in range(20_000)})
    await asyncio.gather(*(crowd.put(write) for write in (hit(1), many, hit(2))))
    left = await killed(file, clock)
    jobs, counters, _ = await contents(left)
    assert (jobs, len(counters)) == ([b"1", b"2"], 20_001)
    await left.close()


class Refusing:
    """A disk that refuses from the next sync on, until it is well."""

    def __init__(self, sync: disk_sync.DiskSync, queue: SqliteQueue) -> None:
        self._sync = sync
        self._queue = queue

    def start(self, number: int, file: int) -> None:
        asyncio.get_running_loop().call_soon(self._queue._line._synced, number, OSError(errno.EIO, "no"))

    async def close(self) -> None:
        await self._sync.close()


async def test_a_sync_that_fails_refuses_its_hits_and_the_next_go_to_the_tables(crowd, file, clock, unapplied):
    await crowd.put(hit(1))
    crowd._line._sync = Refusing(crowd._line._sync, crowd)
    refused = await asyncio.gather(*(crowd.put(hit(number)) for number in (2, 3)), return_exceptions=True)
    assert [type(error) for error in refused] == [errors.Unavailable] * 2
    await crowd.put(hit(4))
    assert not crowd._line.is_journaling
    assert crowd._jobs_under_way == 0
    left = await killed(file, clock)
    assert await contents(left) == ([b"1", b"4"], {"hits": 2}, b"4")
    await left.close()
    assert await contents(crowd) == ([b"1", b"4"], {"hits": 2}, b"4")


async def test_what_was_refused_never_comes_back_over_what_was_told_since(crowd, file, clock, unapplied):
    """Neither while the tables cannot be written nor after it."""
    await crowd.put(hit(1))
    crowd._line._sync = Refusing(crowd._line._sync, crowd)
    pages = crowd._writer._db.execute("PRAGMA page_count").fetchone()[0]
    crowd._writer._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(errors.Unavailable):
        await crowd.put(hit(2))
    for _ in range(50):
        with contextlib.suppress(errors.Unavailable):
            await crowd.put(Write(jobs=[NewJob("other", b"x" * 60_000)]))
    crowd._writer._db.execute("PRAGMA max_page_count = 1000000")
    await crowd.put(hit(3))
    left = await killed(file, clock)
    assert await contents(left) == ([b"1", b"3"], {"hits": 2}, b"3")
    await left.close()


async def test_closing_twice_and_giving_up_on_it_leave_nobody_waiting(file, clock):
    queue = await SqliteQueue.open(file, clock, crowd_per_second=0)
    await journaling(queue)
    putting = [asyncio.ensure_future(queue.put(hit(number))) for number in range(20)]
    await asyncio.sleep(0)
    given_up = asyncio.ensure_future(queue.close())
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    async with asyncio.timeout(10):
        await asyncio.gather(queue._line.close(), queue._line.close())
        assert await asyncio.gather(*putting) == [None] * 20
        await queue.close()


async def test_sums_that_no_table_can_hold_stop_nobody(crowd, file, clock):
    most = (1 << 63) - 1
    await asyncio.gather(*(crowd.put(Write(counters={"n": most}, jobs=[NewJob("line", b"%d" % n)])) for n in range(3)))
    await crowd.put(hit(7))
    jobs, counters, _ = await contents(crowd)
    assert b"7" in jobs
    assert counters["hits"] == 1
    left = await killed(file, clock)
    await left.close()


async def test_a_process_that_has_not_read_the_journal_of_another_does_not_begin_it_anew(crowd, file, clock, unapplied):
    await crowd.put(hit(1))
    other = await SqliteQueue.open(file, clock, crowd_per_second=0)
    await crowd._line._close_files()
    await journaling(other)
    assert not other._line.is_journaling
    await other.close()
    left = await killed(file, clock)
    assert (await contents(left))[1] == {"hits": 1}
    await left.close()


async def test_the_journal_is_used_again_when_the_disk_is_well(crowd, file, clock, monkeypatch):
    monkeypatch.setattr(journal_line, "RETRY_SECONDS", 0.0)

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    with monkeypatch.context() as full:
        full.setattr(journal, "_write", no_room)
        with pytest.raises(errors.Unavailable):
            await crowd.put(hit(1))
    await crowd.put(hit(2))
    while not crowd._line.is_journaling:
        await crowd.add({"n": 1})
        await asyncio.sleep(0)
    await crowd.put(hit(3))
    left = await killed(file, clock)
    jobs, *_ = await contents(left)
    assert jobs == [b"2", b"3"]
    await left.close()


async def test_hits_are_refused_when_both_files_hold_what_the_tables_do_not_take(file, clock):
    """Then, and not before; when the tables can be written again nothing that was told is missing."""
    queue = await SqliteQueue.open(file, clock, crowd_per_second=0)
    queue._line._file_bytes = SMALL_FILE_BYTES
    await journaling(queue)
    told: list[int] = []
    pages = queue._writer._db.execute("PRAGMA page_count").fetchone()[0]
    queue._writer._db.execute(f"PRAGMA max_page_count = {pages}")

    async def fill() -> None:
        for number in range(200):
            await queue.put(Write(jobs=[NewJob("line", b"%d" % number + b" " * 3_000)], counters={"hits": 1}))
            told.append(number)

    with pytest.raises(errors.Unavailable, match="The disk is full"):
        await fill()
    assert len(told) >= 2 * (SMALL_FILE_BYTES // PAGE_BYTES) - 2
    left = await killed(file, clock)
    assert [int(job) for job in (await contents(left))[0]] == told
    await left.close()
    queue._writer._db.execute("PRAGMA max_page_count = 1000000")
    await queue.put(Write(jobs=[NewJob("line", b"1000")]))
    jobs, counters, _ = await contents(queue)
    assert ([int(job) for job in jobs], counters) == ([*told, 1000], {"hits": len(told)})
    await queue.close()


async def test_a_crowd_that_is_over_goes_to_the_tables_at_once(crowd, clock, file, monkeypatch):
    await crowd.put(hit(1))
    monkeypatch.setattr(crowds, "QUIET_SECONDS", 0.0)
    crowd._line._crowd.per_second = 1e9
    crowd._line._crowd._counts_until = 0.0
    await crowd.put(hit(2))
    assert not crowd._line.is_journaling
    await crowd.put(hit(3))
    assert await contents(crowd) == ([b"1", b"2", b"3"], {"hits": 3}, b"3")


async def test_a_crowd_is_told_by_its_writes_in_a_quarter_of_a_second(file, clock):
    queue = await SqliteQueue.open(file, clock)
    await queue.put(hit(0))
    assert not any(path.exists() for path in journal.paths(file)), "a quiet site has no journal"
    line = queue._line
    line._crowd._counts_until = asyncio.get_running_loop().time()
    line._crowd._counted = int(crowds.CROWD_PER_SECOND * crowds.COUNT_SECONDS) + 5
    await queue.put(hit(1))
    assert line._opening is not None
    await line._opening
    assert line.is_journaling
    await queue.close()
    assert {path.stat().st_size for path in journal.paths(file)} == {journal.FILE_BYTES}


async def test_closing_takes_what_is_still_gathered_along(file, clock):
    queue = await SqliteQueue.open(file, clock, crowd_per_second=0)
    await journaling(queue)
    putting = [asyncio.ensure_future(queue.put(hit(number))) for number in range(20)]
    await asyncio.sleep(0)
    await queue.close()
    assert await asyncio.gather(*putting) == [None] * 20
    queue = await SqliteQueue.open(file, clock)
    assert len((await contents(queue))[0]) == 20
    await queue.close()


@pytest.mark.parametrize("kind", [KernelSync, ThreadSync])
async def test_both_ways_to_sync_tell_of_each_file_and_of_its_failure(tmp_path, kind):
    told: asyncio.Queue[tuple[int, OSError | None]] = asyncio.Queue()
    sync = kind(3, lambda number, error: told.put_nowait((number, error)))
    with (tmp_path / "file").open("wb") as file:
        file.write(b"x")
        for number in range(3):
            sync.start(number, file.fileno())
        assert sorted([await told.get() for _ in range(3)]) == [(0, None), (1, None), (2, None)]
    nothing = os.open("/dev/null", os.O_WRONLY)
    try:
        sync.start(1, nothing)
    except OSError as error:
        told.put_nowait((1, error))
    number, error = await told.get()
    os.close(nothing)
    assert number == 1
    assert isinstance(error, OSError)
    assert error.errno == errno.EINVAL
    await sync.close()


async def test_threads_sync_where_the_kernel_does_not(file, clock, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "no")

    monkeypatch.setattr(KernelSync, "_checked", refuse)
    queue = await SqliteQueue.open(file, clock, crowd_per_second=0)
    await journaling(queue)
    assert isinstance(queue._line._sync, ThreadSync)
    await asyncio.gather(*(queue.put(hit(number)) for number in range(50)))
    left = await killed(file, clock)
    assert len((await contents(left))[0]) == 50
    await left.close()
    await queue.close()
