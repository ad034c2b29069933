"""How far users get in a funnel, exactly: in milliseconds, every event used for one step only.

For each user the events of any step are folded in order. The state holds, for each step, the latest start of a way that
has reached it; an event of step n carries the start of step n - 1 over if the window still holds it. A later start is
always the better one, so nothing is lost by forgetting the others. Events of one millisecond are folded in the order of
the lowest step that each fits: one that fits several steps may come sooner than another order would use it.
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


def stage(at: str, mask: str, steps: int, window_seconds: int) -> str:
    """How many steps a user reaches, as an aggregate over the rows of one user.

    at: a column of milliseconds; mask: one of what filters.step_mask makes, 0 for an event of no step.
    """
    seen = f"groupBitOr({mask})"
    if steps == 1:
        return f"toUInt8(bitAnd({seen}, 1))"
    # Who never did what the first two steps ask needs no fold, and most users are such.
    events = f"if(bitAnd({seen}, 3) = 3, groupArrayIf(({at}, {mask}), {mask} > 0), [])"
    fold = (
        "arrayFold((reached, e) -> arrayMap(n -> multiIf(NOT bitTest(e.2, n), reached[n + 1], n = 0, e.1,"
        f" reached[n] > 0 AND e.1 - reached[n] <= {window_seconds * 1000}, reached[n], reached[n + 1]),"
        f" range({steps})), arraySort(e -> (e.1, bitAnd(e.2, bitNot(e.2) + 1), e.2), {events}),"
        f" arrayResize(CAST([], 'Array(Int64)'), {steps}, toInt64(0)))"
    )
    return f"toUInt8(greatest(bitAnd({seen}, 1), countEqual(arrayMap(start -> start > 0, {fold}), 1)))"


def stages(mask: str, steps: int, window_seconds: int, *, both_windows: bool = False, users: str = "true") -> str:
    """A SELECT of userId (isCurrent, with both windows) and stage, the number of steps reached, for those above 0.

    mask: filters.step_mask; users: a condition such as Conditions.users makes. Binds what `within` does and project.
    """
    current = "createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC') AS isCurrent, " if both_windows else ""
    keys = "userId, isCurrent" if both_windows else "userId"
    return (
        f"SELECT {keys}, {stage('at', 'mask', steps, window_seconds)} AS stage"  # noqa: S608
        f" FROM (SELECT userId, {current}toUnixTimestamp64Milli(createdAt) AS at, {mask} AS mask FROM event FINAL"
        f" WHERE projectId = {{project:UInt64}} AND {within('createdAt', both_windows=both_windows)} AND {users})"
        f" WHERE mask > 0 GROUP BY {keys} HAVING stage > 0"
    )


def reached(funnel: Funnel, mask: str, *, both_windows: bool) -> str:
    """A SELECT of the users that get through all steps of a funnel."""
    stage = stages(mask, len(funnel.steps), funnel.window_seconds, both_windows=both_windows)
    keys = "userId, isCurrent" if both_windows else "userId"
    return f"SELECT {keys} FROM ({stage}) WHERE stage = {len(funnel.steps)}"  # noqa: S608
