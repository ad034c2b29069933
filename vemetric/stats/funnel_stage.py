"""How far users get in a funnel, exactly: in milliseconds, every event used for one step only.

For each user the events of any step are folded in order. The state holds, for each step, the latest start of a way that
has reached it; an event of step n carries the start of step n - 1 over if the window still holds it. A later start is
always the better one, so nothing is lost by forgetting the others. Events of one millisecond have no order: of a user
with several that could each be of several steps, all are folded that happened at once, by the sets of steps that they
can take between them: a thousand at most, as a funnel has ten steps.
"""

from vemetric.model.funnel import Funnel


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
    events = f"arraySort(e -> (e.1, bitAnd(e.2, bitNot(e.2) + 1), e.2), {events})"
    tied = (
        "arrayExists((e, next) -> e.1 = next.1 AND bitCount(e.2) + bitCount(next.2) > 2,"
        f" arrayPopBack({events}), arrayPopFront({events}))"
    )
    one_by_one = _one_by_one(f"if({tied}, [], {events})", steps, window_seconds)
    at_once = _at_once(f"if({tied}, {events}, [])", steps, window_seconds)
    return f"toUInt8(greatest(bitAnd({seen}, 1), {one_by_one}, {at_once}))"


def _one_by_one(events: str, steps: int, window_seconds: int) -> str:
    """The steps reached by sorted events, of which none that fits several steps shares its millisecond."""
    return _folded(
        "arrayMap(n -> multiIf(NOT bitTest(e.2, n), reached[n + 1], n = 0, e.1,"
        f" {_holds('n', window_seconds)}, reached[n], reached[n + 1]), range({steps}))",
        events,
        steps,
    )


def _at_once(events: str, steps: int, window_seconds: int) -> str:
    """The steps reached by any sorted events: those of a millisecond become the sets of steps that they can take.

    A way comes with some step and goes on by the next ones, as many as are in one of those sets together.
    """
    instants = f"arraySplit((e, gap) -> gap > 0, {events}, arrayDifference(arrayMap(e -> e.1, {events})))"
    # More events of one kind than it has steps are of no use.
    masks = "arrayFilter((m, nth) -> nth <= bitCount(m), instant.2, arrayEnumerateUniq(instant.2))"
    sets = (
        "arrayFold((sets, m) -> arrayDistinct(arrayFlatten(arrayMap(taken -> arrayPushBack(arrayMap("
        "step -> bitOr(taken, step), bitmaskToArray(bitAnd(m, bitNot(taken)))), taken), sets))),"
        f" {masks}, CAST([0], 'Array(UInt32)'))"
    )
    taken = "toUInt32(bitShiftLeft(toUInt32(2), n) - bitShiftLeft(toUInt32(1), from))"
    carried = (
        f"arrayMap(from -> multiIf(NOT has(e.2, {taken}), 0,"
        f" from = 0, e.1, {_holds('from', window_seconds)}, reached[from], 0), range(n + 1))"
    )
    return _folded(
        f"arrayMap(n -> greatest(reached[n + 1], arrayMax({carried})), range({steps}))",
        f"arrayMap(instant -> (instant[1].1, {sets}), {instants})",
        steps,
    )


def _holds(step: str, window_seconds: int) -> str:
    """Whether a way that has reached some step, counted from 1, is still within its window at e."""
    return f"reached[{step}] > 0 AND e.1 - reached[{step}] <= {window_seconds * 1000}"


def _folded(change: str, elements: str, steps: int) -> str:
    """How many steps have a start after all elements e. change: of `reached`, the latest start by step, 0 for none."""
    starts = f"arrayFold((reached, e) -> {change}, {elements}, arrayResize(CAST([], 'Array(Int64)'), {steps}, 0))"
    return f"countEqual(arrayMap(start -> start > 0, {starts}), 1)"


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
