"""Which visits the events of a user belong to once that user is merged into another. Pure; used by merge_user.py."""

from collections.abc import Iterable, Sequence

import msgspec

# An event belongs to a visit that it lies in, or from which it is no farther away than this.
NEAR_MS = 30 * 60_000


class Visit(msgspec.Struct):
    """A visit of the user who stays. Times in ms."""

    id: str
    started_ms: int
    ended_ms: int


class Reassigned(msgspec.Struct, frozen=True):
    """What a merge does to visits.

    moved: the visit, by its id, that each visit of the old user goes up in. kept: visits of the old user that go on
    as visits of the other, in the order they were met. widened: visits of the other user with their new bounds.
    """

    moved: dict[str, str]
    kept: list[str]
    widened: dict[str, Visit]


def reassign(events: Iterable[tuple[str, int]], visits: Sequence[Visit]) -> Reassigned:
    """Assign the old user's events (session id, ms since 1970) to visits of the other user.

    An event near a visit takes its whole old visit there; of several near ones the first in the list has it, of several
    events the last one decides. An old visit that has no event near any visit is kept. All events of one that moves
    move; the visit becomes as wide as those that were near none (the original left it narrow, and an empty copy of the
    old one behind).
    """
    moved: dict[str, str] = {}
    strays: dict[str, list[int]] = {}
    bounds = [(visit.started_ms - NEAR_MS, visit.ended_ms + NEAR_MS, visit.id) for visit in visits]
    wide = {visit.id: msgspec.structs.replace(visit) for visit in visits}
    for session_id, at_ms in events:
        for earliest_ms, latest_ms, visit_id in bounds:
            if earliest_ms <= at_ms <= latest_ms:
                moved[session_id] = visit_id
                _widen(wide[visit_id], at_ms)
                break
        else:
            strays.setdefault(session_id, []).append(at_ms)
    for session_id, visit_id in moved.items():
        for at_ms in strays.pop(session_id, ()):
            _widen(wide[visit_id], at_ms)
    return Reassigned(moved, list(strays), {visit.id: wide[visit.id] for visit in visits if wide[visit.id] != visit})


def _widen(visit: Visit, at_ms: int) -> None:
    visit.started_ms = min(visit.started_ms, at_ms)
    visit.ended_ms = max(visit.ended_ms, at_ms)
