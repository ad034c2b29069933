"""Reads the jobs of a SQLite queue that are neither done nor dead, page by page. Used by sqlite.py.

Bundles are read before single jobs: a bundle can be taken apart meanwhile, but jobs are never put together again.
"""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from vemetric.queues.job import LiveJob
from vemetric.queues.sqlite_bundles import JOB_IDS_PER_ROW, payloads_of

# One at a time: who reads decodes a page between two hits.
PAGE_BUNDLES = 1
PAGE_JOBS = 500

_BUNDLES = """
SELECT id, place, deliveries, body FROM bundle WHERE queue = ? AND id > ? ORDER BY id LIMIT ?
"""
_JOBS = "SELECT id, payload, deliveries FROM job WHERE queue = ? AND id > ? ORDER BY id LIMIT ?"

Read = Callable[[Callable[[sqlite3.Connection], list[LiveJob]]], Awaitable[list[LiveJob]]]


async def pages(read: Read, queue: str) -> AsyncIterator[list[LiveJob]]:
    """As Queue.live. read: runs a function over the connection in the reader's thread."""
    last = 0
    # The jobs that each bundle held, by bundle: those found again with rows of their own are known.
    seen: dict[int, range] = {}
    while page := await read(partial(_of_bundles, queue=queue, after=last)):
        for job in page:
            known = seen.get(job.id // JOB_IDS_PER_ROW)
            seen[job.id // JOB_IDS_PER_ROW] = range(known.start if known else job.id, job.id + 1)
        last = page[-1].id // JOB_IDS_PER_ROW
        yield page
    last = 0
    while page := await read(partial(_alone, queue=queue, after=last)):
        last = page[-1].id
        yield [job for job in page if job.id not in seen.get(job.id // JOB_IDS_PER_ROW, ())]


def _of_bundles(db: sqlite3.Connection, queue: str, after: int) -> list[LiveJob]:
    return [
        LiveJob(bundle * JOB_IDS_PER_ROW + place, payload, deliveries)
        for bundle, first, deliveries, body in db.execute(_BUNDLES, (queue, after, PAGE_BUNDLES)).fetchall()
        for place, payload in enumerate(payloads_of(body), first)
    ]


def _alone(db: sqlite3.Connection, queue: str, after: int) -> list[LiveJob]:
    return [LiveJob(*row) for row in db.execute(_JOBS, (queue, after, PAGE_JOBS))]
