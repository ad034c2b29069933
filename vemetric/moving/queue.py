"""Copy what a drained queue keeps: keys, counters and dead letters. Everything can be repeated: keys are set, counters
are brought to what they were, dead letters that are there already are passed over.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from vemetric import errors
from vemetric.clock import Clock
from vemetric.moving.compared import Compared, Fingerprint
from vemetric.queues.job import DeadJob, Job, KeySet, NewJob, Write
from vemetric.queues.keys import Keys
from vemetric.queues.queue import Queue

STORE = "queue"
KEYS_PER_WRITE = 500
DEAD_PAGE = 200
LEASE_SECONDS = 60


class Both(Queue, Keys, Protocol):
    """A queue that is a store of keys as well, as every backend is."""


async def copy(source: Both, file: Path, target: Both, clock: Clock) -> list[Compared]:
    """Bring `target` to what the queue in `file` keeps, and compare. `source` is that queue, open and at rest.

    Raises Conflict when jobs wait on either side or are held up, or when the target has what the source has not.
    """
    await refuse_paused(source)
    if jobs := await waiting(source):
        told = ", ".join(f"{count:,} in {queue}" for queue, count in jobs.items())
        raise errors.Conflict(f"Jobs are still waiting ({told}); a queue is moved once it is empty.")
    compared = [
        await _copy_keys(file, target, clock),
        await _copy_counters(source, target),
        await _copy_dead(source, target),
    ]
    if await waiting(target):
        raise errors.Conflict("The queue to move to has jobs, perhaps of a run that was interrupted: try in a minute.")
    return compared


async def refuse_paused(queue: Queue) -> None:
    """Conflict if a queue is paused: what waits in it would never be done, and that it is paused would be forgotten."""
    if paused := await queue.paused():
        raise errors.Conflict(f"Queues are paused ({', '.join(paused)}); resume them, so that they can be emptied.")


async def waiting(queue: Queue) -> dict[str, int]:
    """Jobs that are neither done nor dead, by queue; those without any are left out."""
    found = {line.queue: line.ready + line.delayed + line.claimed for line in await queue.stats()}
    return {name: count for name, count in found.items() if count}


async def _copy_keys(file: Path, target: Both, clock: Clock) -> Compared:
    now_ms = clock.now_ms()
    fingerprint = Fingerprint()
    portion: list[KeySet] = []
    for key, value, expires_ms in _read(file, "SELECT key, value, expires_ms FROM key ORDER BY key"):
        if expires_ms and expires_ms <= now_ms:
            continue
        portion.append(KeySet(key, value, expires_ms))
        fingerprint.add([(key, value)])
        if len(portion) == KEYS_PER_WRITE:
            await _set(target, portion, clock)
            portion = []
    await _set(target, portion, clock)
    return Compared(STORE, "keys", fingerprint.rows, fingerprint.checksum)


async def _set(target: Both, portion: list[KeySet], clock: Clock) -> None:
    await target.set(portion)
    held = await target.get_many([one.key for one in portion])
    for one in portion:
        if held.get(one.key) != one.value and not 0 < one.expires_ms <= clock.now_ms():
            raise errors.Conflict(f"The key {one.key} is not the same after it was copied.")


async def _copy_counters(source: Both, target: Both) -> Compared:
    wanted = await source.counters("")
    held = await target.counters("")
    if held.keys() - wanted.keys():
        raise errors.Conflict("The queue to move to holds counters of another instance; give an empty one.")
    await target.add({name: value - held.get(name, 0) for name, value in wanted.items() if value != held.get(name, 0)})
    if await target.counters("") != wanted:
        raise errors.Conflict("The counters are not the same after they were copied.")
    fingerprint = Fingerprint()
    fingerprint.add(sorted(wanted.items()))
    return Compared(STORE, "counters", fingerprint.rows, fingerprint.checksum)


async def _copy_dead(source: Queue, target: Queue) -> Compared:
    wanted = await _dead(source)
    held = Counter(map(_identity, await _dead(target)))
    for job in reversed(wanted):
        if held[_identity(job)]:
            held[_identity(job)] -= 1
            continue
        if job.queue not in await waiting(target):
            await target.put(Write(jobs=[NewJob(job.queue, job.payload, job.key)]))
        await target.bury(await _claimed(target, job), job.error)
    fingerprint = Fingerprint()
    fingerprint.add(sorted(map(_identity, wanted)))
    copied = Fingerprint()
    copied.add(sorted(map(_identity, await _dead(target))))
    if copied != fingerprint:
        raise errors.Conflict("The queue to move to holds other dead letters than were copied; give an empty one.")
    return Compared(STORE, "dead letters", fingerprint.rows, fingerprint.checksum)


async def _claimed(target: Queue, job: DeadJob) -> list[Job]:
    """The job just put, or put by a run that was interrupted; nothing else is in a queue that nobody uses yet."""
    claimed = await target.claim(job.queue, 1, LEASE_SECONDS)
    if [one.payload for one in claimed] != [job.payload]:
        await target.release(claimed)
        raise errors.Conflict(f"The queue to move to has jobs in {job.queue}; give an empty one.")
    return claimed


async def _dead(queue: Queue) -> list[DeadJob]:
    found: list[DeadJob] = []
    before_id = None
    while page := await queue.dead(None, DEAD_PAGE, before_id):
        found += page
        before_id = page[-1].id
    return found


def _identity(job: DeadJob) -> tuple[str, bytes]:
    return job.queue, job.payload


def _read(file: Path, sql: str) -> Iterator[tuple[str, bytes, int]]:
    """Rows of the queue's file; what it had logged is in its tables since it was opened."""
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
    try:
        yield from connection.execute(sql)
    finally:
        connection.close()
