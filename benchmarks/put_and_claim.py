"""What the SQLite queue costs: `python benchmarks/put_and_claim.py [--puts N] [--busy MICROSECONDS]`.

Each put is a hit's: one job of 600 bytes, one live session, two counters. CPU is that of the whole process, both
threads and the loop; `--busy` adds work on the loop before each put, as a handler would, so that the two threads
compete for the interpreter as they do in the server.
"""

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from vemetric.clock import SystemClock
from vemetric.queues.job import KeySet, NewJob, Write
from vemetric.queues.sqlite import SqliteQueue

PRODUCERS = 64
VISITORS = 20_000
PAYLOAD = os.urandom(300).hex().encode()
SESSION = os.urandom(90)


def a_hit(number: int, ordered: bool) -> Write:
    visitor = random.randrange(VISITORS)
    order_key = f"user:{visitor}" if ordered else None
    return Write(
        jobs=[NewJob("event", PAYLOAD, key=f"{number:026d}", order_key=order_key)],
        keys=[KeySet(f"live:1234567890:{visitor:020d}", SESSION, number)],
        counters={"accepted:1234567890": 1, f"accepted:1234567890:{number % 5}": 1},
    )


def a_job(number: int, ordered: bool) -> Write:
    return Write(jobs=[NewJob("event", PAYLOAD)])


def in_one_lane(number: int, ordered: bool) -> Write:
    return Write(jobs=[NewJob("event", PAYLOAD, order_key="lane")])


async def put_all(
    queue: SqliteQueue, make: Callable[[int, bool], Write], puts: int, busy_us: int, ordered: bool
) -> str:
    numbers = iter(range(puts))
    seconds: list[float] = []

    async def produce() -> None:
        for number in numbers:
            ends = time.perf_counter() + busy_us / 1e6
            while busy_us and time.perf_counter() < ends:
                pass
            write = make(number, ordered)
            started = time.perf_counter()
            await queue.put(write)
            seconds.append(time.perf_counter() - started)

    wall, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(produce() for _ in range(PRODUCERS)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    seconds.sort()
    return (
        f"{puts / wall:8,.0f}/s  {cpu / puts * 1e6 - busy_us:6.1f} us CPU each"
        f"  p50 {seconds[puts // 2] * 1e3:.1f} ms  p99 {seconds[puts * 99 // 100] * 1e3:.1f} ms"
    )


async def claim_all(queue: SqliteQueue, jobs: int, batch: int) -> str:
    claims: list[float] = []
    acks: list[float] = []
    wall, cpu, done = time.perf_counter(), time.process_time(), 0
    while True:
        started = time.perf_counter()
        claimed = await queue.claim("event", batch, 60)
        claims.append(time.perf_counter() - started)
        if not claimed:
            break
        started = time.perf_counter()
        await queue.ack(claimed)
        acks.append(time.perf_counter() - started)
        done += len(claimed)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert done == jobs, (done, jobs)
    claims.sort()
    acks.sort()
    return (
        f"{jobs / wall:8,.0f}/s  {cpu / jobs * 1e6:6.1f} us CPU each"
        f"  claim p50 {claims[len(claims) // 2] * 1e3:.1f} ms  ack p50 {acks[len(acks) // 2] * 1e3:.1f} ms"
    )


async def with_queue(run: Callable[[SqliteQueue], Awaitable[None]]) -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as directory:
        queue = await SqliteQueue.open(Path(directory) / "queue.db", SystemClock())
        try:
            await run(queue)
        finally:
            await queue.close()


async def measure(puts: int, busy_us: int) -> None:
    async def jobs_only(queue: SqliteQueue) -> None:
        print(f"put, a job alone         {await put_all(queue, a_job, puts, 0, False)}")
        print(f"claim and ack, 500       {await claim_all(queue, puts, 500)}")

    async def hits(queue: SqliteQueue) -> None:
        print(f"put, a hit               {await put_all(queue, a_hit, puts, 0, False)}")
        print(f"claim and ack, 5,000     {await claim_all(queue, puts, 5_000)}")

    async def ordered_hits(queue: SqliteQueue) -> None:
        print(f"put, a hit with its lane {await put_all(queue, a_hit, puts, 0, True)}")
        print(f"claim and ack, 500       {await claim_all(queue, puts, 500)}")

    async def one_lane(queue: SqliteQueue) -> None:
        print(f"put, all in one lane     {await put_all(queue, in_one_lane, puts, 0, True)}")
        print(f"claim and ack, 500       {await claim_all(queue, puts, 500)}")

    async def busy_hits(queue: SqliteQueue) -> None:
        print(f"put, a hit, busy loop    {await put_all(queue, a_hit, puts, busy_us, False)}")

    for run in (jobs_only, hits, ordered_hits, one_lane, busy_hits):
        await with_queue(run)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--puts", type=int, default=100_000)
    parser.add_argument("--busy", type=int, default=100)
    arguments = parser.parse_args()
    uvloop.run(measure(arguments.puts, arguments.busy))
