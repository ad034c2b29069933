"""How far users get in a funnel, exactly: in milliseconds, every event used for one step only.

For each user the events of any step are folded in order. The state holds, for each step, the latest start of a way that
has reached it; an event of step n carries the start of step n - 1 over if the window still holds it. A later start is
always the better one, so nothing is lost by forgetting the others. Events of one millisecond have no order of their
own: they are taken by the steps they fit.
"""

from vemetric.model.funnel import Funnel

# One bit of a mask for each step.
STEPS_MAX = 30


def within(time: str, *, both_windows: bool) -> str:
    """A condition on a column of times: in the range [start, end), or in it or in [previousStart, previousEnd)."""

    def bound(name: str) -> str:
        return f"fromUnixTimestamp64Milli({{{name}:Int64}}, 'UTC')"

    if not both_windows:
        return f"{time} >= {bound('start')} AND {time} < {bound('end')}"
    return (
        f"{time} >= {bound('previousStart')} AND {time} < {bound('end')}"
        f" AND ({time} >= {bound('start')} OR {time} < {bound('previousEnd')})"
    )


def stages(mask: str, steps: int, window_seconds: int, *, both_windows: bool = False, users: str = "true") -> str:
    """A SELECT of userId (isCurrent, with both windows) and stage, the number of steps reached, for those above 0.

    mask: filters.step_mask; users: a condition such as Conditions.users makes. Binds what `within` does and project.
    """
    window_ms = window_seconds * 1000
    current = "createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AS isCurrent, " if both_windows else ""
    keys = "userId, isCurrent" if both_windows else "userId"
    fold = (
        "arrayFold((reached, e) -> arrayMap(n -> multiIf(NOT bitTest(e.2, n), reached[n + 1], n = 0, e.1,"
        f" reached[n] > 0 AND e.1 - reached[n] <= {window_ms}, reached[n], reached[n + 1]), range({steps})),"
        " arraySort(e -> (e.1, bitAnd(e.2, bitNot(e.2) + 1), e.2), groupArray((at, mask))),"
        f" arrayResize(CAST([], 'Array(Int64)'), {steps}, toInt64(0)))"
    )
    return (
        f"SELECT {keys}, toUInt8(countEqual(arrayMap(start -> start > 0, {fold}), 1)) AS stage"  # noqa: S608
        f" FROM (SELECT userId, {current}toUnixTimestamp64Milli(createdAt) AS at, {mask} AS mask FROM event FINAL"
        f" WHERE projectId = {{project:UInt64}} AND {within('createdAt', both_windows=both_windows)} AND {users})"
        f" WHERE mask > 0 GROUP BY {keys} HAVING stage > 0"
    )


def reached(funnel: Funnel, mask: str, *, both_windows: bool) -> str:
    """A SELECT of the users that get through all steps of a funnel."""
    stage = stages(mask, len(funnel.steps), funnel.window_seconds, both_windows=both_windows)
    keys = "userId, isCurrent" if both_windows else "userId"
    return f"SELECT {keys} FROM ({stage}) WHERE stage = {len(funnel.steps)}"  # noqa: S608
