"""A process for the crash tests: many put hits and one works them off, until it is killed from outside.

Prints the number of each hit whose put was answered. Run as `python crowd.py FILE FIRST_NUMBER WRITES_PER_SECOND`, the
last of them from when on the journal is used.
"""

import asyncio
import itertools
import os
import sys

from vemetric.clock import SystemClock
from vemetric.queues.job import KeySet, NewJob, Write
from vemetric.queues.sqlite import SqliteQueue

PRODUCERS = 32
LEASE_SECONDS = 1


async def produce(queue: SqliteQueue, numbers: "itertools.count[int]") -> None:
    for number in numbers:
        write = Write(
            jobs=[
                NewJob("hit", b"x" * (number % 700), key=f"{number}", order_key=f"visitor{number % 17}"),
                NewJob("follow-up", b"", key=f"follow-up-{number}", after=f"{number}"),
            ],
            keys=[KeySet(f"hit:{number}", b"v")],
            counters={"put": 1, f"put:{number % 3}": 1},
        )
        await queue.put(write)
        os.write(1, f"{number}\n".encode())


async def work(queue: SqliteQueue) -> None:
    while True:
        jobs = await queue.claim("hit", 50, LEASE_SECONDS)
        if jobs:
            await queue.ack(
                jobs, Write(jobs=[NewJob("done", b"", key=job.key) for job in jobs], counters={"done": len(jobs)})
            )
        else:
            await queue.wait("hit", 1)


async def main() -> None:
    queue = await SqliteQueue.open(sys.argv[1], SystemClock(), crowd_per_second=float(sys.argv[3]))
    numbers = itertools.count(int(sys.argv[2]))
    os.write(1, b"open\n")
    await asyncio.gather(work(queue), *(produce(queue, numbers) for _ in range(PRODUCERS)))


asyncio.run(main())
