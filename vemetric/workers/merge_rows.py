"""The rows of visits that a merge of users reads and writes, as one user after the other is merged. For merge_user."""

from collections import defaultdict
from collections.abc import Collection, Iterable

import msgspec

from vemetric.clickhouse.rows import SessionRow, milliseconds, timestamp
from vemetric.clickhouse.user_merges import Plan, Replaced, Target
from vemetric.workers.merge_sessions import Reassigned, Visit
from vemetric.workers.session_rows import whole_seconds


def times_of(events: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    """By visit the times of its events."""
    times: defaultdict[str, list[int]] = defaultdict(list)
    for session_id, at_ms in events:
        times[session_id].append(at_ms)
    return dict(times)


def cut(row: SessionRow, times: Collection[int]) -> SessionRow:
    """Of a visit that goes on after its user was merged what was until then; times: of the events."""
    started_ms, ended_ms = min(milliseconds(row.startedAt), *times), max(times)
    duration = whole_seconds(ended_ms - started_ms)
    return msgspec.structs.replace(row, startedAt=timestamp(started_ms), endedAt=timestamp(ended_ms), duration=duration)


class Rows:
    """The visits of those who stay, as one merge after the other changes them."""

    def __init__(self, plan: Plan, stored: Iterable[SessionRow]) -> None:
        self._plan = plan
        self._stored: dict[tuple[int, str], SessionRow] = {(row.userId, row.id): row for row in stored}
        self._changed: dict[tuple[int, str], SessionRow] = {}

    @property
    def project_id(self) -> int:
        return self._plan.project_id

    def has(self, user_id: int, session_id: str) -> bool:
        return (user_id, session_id) in self._stored or (user_id, session_id) in self._changed

    def visits(self, user_id: int) -> list[Visit]:
        """The visits of a user, by start."""
        rows = [row for (of, _), row in (self._stored | self._changed).items() if of == user_id]
        return [
            Visit(row.id, milliseconds(row.startedAt), milliseconds(row.endedAt))
            for row in sorted(rows, key=lambda row: (row.startedAt, row.id))
        ]

    def apply(self, target: Target, found: Reassigned, old_rows: Iterable[SessionRow]) -> None:
        """Widen visits, and let kept ones of the old user (those that have a row) go on as the other's."""
        for visit in found.widened.values():
            self._widen(target.user_id, visit)
        by_id = {row.id: row for row in old_rows}
        for row in (by_id[session_id] for session_id in found.kept if session_id in by_id):
            if self.has(target.user_id, row.id):
                self._widen(target.user_id, Visit(row.id, milliseconds(row.startedAt), milliseconds(row.endedAt)))
                continue
            self._changed[target.user_id, row.id] = msgspec.structs.replace(
                row,
                userId=target.user_id,
                userIdentifier=target.identifier or row.userIdentifier,
                userDisplayName=row.userDisplayName or target.display_name or None,
                version=0,
                mergeId=self._plan.merge_id,
            )

    def cover(self, user_id: int, session_id: str, times: Collection[int]) -> None:
        """Make a visit, if it has a row, as long as its events: some may have come since it was merged before."""
        row = self._changed.get((user_id, session_id)) or self._stored.get((user_id, session_id))
        if row is None:
            return
        if min(times) < milliseconds(row.startedAt) or max(times) > milliseconds(row.endedAt):
            self._widen(user_id, Visit(session_id, min(times), max(times)))

    def finish(self) -> None:
        """Put what has changed into the plan."""
        self._plan.copies += self._changed.values()
        self._plan.replaced += [
            Replaced(self._stored[key], row.startedAt) for key, row in self._changed.items() if key in self._stored
        ]

    def _widen(self, user_id: int, visit: Visit) -> None:
        row = self._changed.get((user_id, visit.id)) or self._stored[user_id, visit.id]
        started_ms = min(visit.started_ms, milliseconds(row.startedAt))
        ended_ms = max(visit.ended_ms, milliseconds(row.endedAt))
        self._changed[user_id, visit.id] = msgspec.structs.replace(
            row,
            startedAt=timestamp(started_ms),
            endedAt=timestamp(ended_ms),
            duration=whole_seconds(ended_ms - started_ms),
            version=0,
            mergeId=self._plan.merge_id,
        )
