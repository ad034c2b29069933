"""What was accepted, refused and erased is counted by the hour. Hours that are long past are added up, so that the
counters of a project stay few however old it gets. Run by the schedule of workers/__init__.py.
"""

from vemetric.clock import Clock
from vemetric.ingest import jobs
from vemetric.queues.keys import Keys

PREFIXES = (jobs.ACCEPTED_PREFIX, jobs.REFUSED_PREFIX, jobs.ERASED_PREFIX)
HOURS_KEPT = 35 * 24
# Stands for all hours before those that are kept.
EARLIER = "0"
COUNTERS_PER_WRITE = 1_000


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
