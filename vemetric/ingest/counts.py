"""What became of events is counted by the hour. Hours that are long past are added up, so that a project's counters
stay few however old it gets. Run by the schedule of workers/__init__.py.
"""

from collections.abc import Awaitable, Callable

import msgspec

from vemetric.clock import Clock
from vemetric.ingest import jobs
from vemetric.queues.job import KeySet, Write
from vemetric.queues.keys import Keys
from vemetric.queues.queue import Queue

PREFIXES = (
    jobs.ACCEPTED_PREFIX,
    jobs.REFUSED_PREFIX,
    jobs.ERASED_PREFIX,
    jobs.EXPIRED_PREFIX,
    jobs.REPEATED_PREFIX,
)
HOURS_KEPT = 35 * 24
# Stands for all hours before those that are kept.
EARLIER = "0"
COUNTERS_PER_WRITE = 1_000
# The counts of what is about to be dropped, until it is.
EXPIRING_PREFIX = "expiring:"


async def add_up(keys: Keys, clock: Clock) -> None:
    """Move hours older than those kept into one counter of all of them.

    What a project's counters come to stays the same at every moment, and after doing this twice at once.
    """
    oldest_kept = clock.now_ms() // jobs.HOUR_MS - HOURS_KEPT
    for prefix in PREFIXES:
        old = [
            (name, count)
            for name, count in (await keys.counters(prefix)).items()
            if 0 < int(name.rpartition(":")[2]) < oldest_kept
        ]
        for start in range(0, len(old), COUNTERS_PER_WRITE):
            moved: dict[str, int] = {}
            for name, count in old[start : start + COUNTERS_PER_WRITE]:
                total = f"{name.rpartition(':')[0]}:{EARLIER}"
                moved[name] = -count
                moved[total] = moved.get(total, 0) + count
            await keys.add(moved)


async def expire(
    queue: Queue,
    keys: Keys,
    clock: Clock,
    what: str,
    count: Callable[[], Awaitable[dict[int, int]]],
    remove: Callable[[], Awaitable[None]],
) -> int:
    """Drop rows that are older than is kept, and count their events as expired; returns how many these were.

    what: names the rows, alike at every attempt. count: their events by project, those that came through the hub
    (importSource = ''). remove: drops exactly what was counted, however often it is called. Killed between any two of
    its steps and called again, each event is counted once. Not to be called twice at once for the same rows.
    """
    name = _expiring(what)
    noted = await keys.get(name)
    if noted is None:
        noted = msgspec.msgpack.encode(await count())
        await keys.set([KeySet(name, noted)])
    await remove()
    now_ms = clock.now_ms()
    gone = noted_counts(noted)
    counters = {jobs.expired_counter(project_id, now_ms): events for project_id, events in gone.items() if events}
    await queue.put(Write(counters=counters, keys=[KeySet(name, b"", 1)]))
    return sum(gone.values())


async def keep(keys: Keys, what: str) -> None:
    """Forget what was counted of rows that stay, as nothing of them was removed yet."""
    await keys.delete(_expiring(what))


def _expiring(what: str) -> str:
    return f"{EXPIRING_PREFIX}{what}"


def noted_counts(value: bytes) -> dict[int, int]:
    """By project, how many events are being dropped, from the value of a key under EXPIRING_PREFIX."""
    return msgspec.msgpack.decode(value, type=dict[int, int])
