"""A process for the disk tests: limits how large its files may get, as a full disk would, and lifts the limit again.

Run as `python full_disk.py DIRECTORY`; exits with 0 when the queue behaved.
"""

import asyncio
import resource
import sqlite3
import sys
from pathlib import Path

from vemetric import errors
from vemetric.clock import SystemClock
from vemetric.queues import sqlite_tables
from vemetric.queues.job import KeySet, NewJob, Write
from vemetric.queues.sqlite import SqliteQueue

FULL_BYTES = 2_000_000


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def a_write(number: int) -> Write:
    job = NewJob("line", b"x" * 2_000, key=f"{number}")
    return Write(jobs=[job], keys=[KeySet(f"key:{number}", b"v")], counters={"put": 1})


async def fill(queue: SqliteQueue, first: int) -> tuple[list[int], int]:
    """Put until the disk is full. The numbers that were accepted, and how many were refused."""
    stored, refused = [], 0
    for start in range(first, first + 10_000, 20):
        numbers = range(start, start + 20)
        results = await asyncio.gather(*(queue.put(a_write(number)) for number in numbers), return_exceptions=True)
        for number, result in zip(numbers, results, strict=True):
            if result is None:
                stored.append(number)
            else:
                assert type(result) is errors.Unavailable, result
                refused += 1
        if refused:
            return stored, refused
    raise AssertionError("the disk never got full")


async def check(queue: SqliteQueue, stored: list[int]) -> None:
    [stats] = await queue.stats()
    assert stats.ready == len(stored), (stats, len(stored))
    assert await queue.counters("put") == {"put": len(stored)}
    found = await queue.scan("key:", 100_000)
    assert {key for key, _ in found} == {f"key:{number}" for number in stored}


async def main(directory: Path) -> None:
    # Each end of the trouble is to be told, however soon the next begins.
    sqlite_tables.WELL_AFTER_SECONDS = 0
    queue = await SqliteQueue.open(directory / "queue.db", SystemClock())
    limit_files(FULL_BYTES)
    stored, _ = await fill(queue, 0)
    await check(queue, stored)
    for attempt in (queue.claim("line", 100_000, 60), queue.set([KeySet("k", b"v" * FULL_BYTES)])):
        try:
            await attempt
        except errors.Unavailable:
            pass
        else:
            raise AssertionError("a full disk took a write")
    limit_files(resource.RLIM_INFINITY)
    await queue.put(a_write(1_000_000))
    await check(queue, [*stored, 1_000_000])
    jobs = await queue.claim("line", 100_000, 60)
    await queue.ack(jobs)
    limit_files(FULL_BYTES * 3)
    stored, _ = await fill(queue, 2_000_000)
    limit_files(resource.RLIM_INFINITY)
    await queue.close()
    with sqlite3.connect(directory / "queue.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT count(*) FROM job").fetchone() == (len(stored),)


asyncio.run(main(Path(sys.argv[1])))
