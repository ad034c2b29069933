"""Since when each project keeps its events: what is older and comes late is counted as expired, not stored again.

Lines are drawn by workers/retention.py before it removes anything, and asked for by whoever is about to store events.
"""

from collections.abc import Iterable, Mapping

from vemetric.clock import Clock
from vemetric.queues.job import KeySet
from vemetric.queues.keys import Keys

# No project keeps its events for less than a week, by a clock that is right. What is newer is stored wherever a line
# lies: it was drawn by a clock ahead.
LATE_MS_MIN = 6 * 86_400_000
LINE_PREFIX = "kept-since:"
LINES_PER_WRITE = 1_000


async def draw(keys: Keys, lines: Mapping[int, int]) -> None:
    """Keep nothing of each project that is older than its time (ms). A line is never moved back: what was before it
    has been counted. By one at a time, who has the turn of ingest/erased.py.
    """
    projects = sorted(lines)
    for start in range(0, len(projects), LINES_PER_WRITE):
        some = projects[start : start + LINES_PER_WRITE]
        drawn = await _drawn(keys, some)
        moved = [project_id for project_id in some if lines[project_id] > drawn.get(project_id, 0)]
        await keys.set([KeySet(line_key(project_id), b"%d" % lines[project_id]) for project_id in moved])


async def among(keys: Keys, clock: Clock, accepted: Iterable[tuple[int, int]]) -> set[int]:
    """Which of these lie before their project's line, by their position. accepted: (project, time in ms).

    Asked in the turn of ingest/erased.py by who is about to store the others. Costs nothing where all are new.
    """
    newest_ms = clock.now_ms() - LATE_MS_MIN
    late = {position: one for position, one in enumerate(accepted) if one[1] < newest_ms}
    if not late:
        return set()
    lines = await _drawn(keys, sorted({project_id for project_id, _ in late.values()}))
    return {position for position, (project_id, at_ms) in late.items() if at_ms < lines.get(project_id, 0)}


def may_be_late(clock: Clock, earliest_ms: int) -> bool:
    """Whether something as early as this may lie before a line at all."""
    return earliest_ms < clock.now_ms() - LATE_MS_MIN


def line_key(project_id: int) -> str:
    return f"{LINE_PREFIX}{project_id}"


async def _drawn(keys: Keys, projects: Iterable[int]) -> dict[int, int]:
    names = {line_key(project_id): project_id for project_id in projects}
    return {names[name]: int(value) for name, value in (await keys.get_many(list(names))).items()}
