"""Fold what batches say of a session into its row. Pure and idempotent; used by workers/session.py."""

from typing import Any, Self

import msgspec
from msgspec import Raw

from vemetric.clickhouse.rows import SESSION_COLUMNS, SessionRow, milliseconds, piece, timestamp
from vemetric.clickhouse.sink import SessionKey
from vemetric.ingest import jobs
from vemetric.ingest.jobs import SessionAttributes, SessionPart

# The columns of SessionAttributes by their names in the store, in order.
COLUMNS = tuple(field.encode_name for field in msgspec.structs.fields(SessionAttributes))
# (project id, user id, session id, fixed start in ms)
Visit = tuple[int, int, str, int]
PLACE_COLUMNS = ("countryCode", "city", "latitude", "longitude")
NO_PLACE = ("", "", None, None)
ENDED_AT, VERSION = SESSION_COLUMNS.index("endedAt"), SESSION_COLUMNS.index("version")


def visit_of(part: SessionPart) -> Visit:
    """Which visit it is about: the same as `key_of` says, and made at less cost."""
    return part.project_id, part.user_id, part.session_id, part.started_ms


def key_of(part: SessionPart) -> SessionKey:
    return SessionKey(part.project_id, part.user_id, part.session_id, timestamp(part.started_ms))


class KeptRow(msgspec.Struct, frozen=True, gc=False):
    """A session's row as the next part finds it, with what most parts leave as it is ready to be written again.

    row: as it was when those columns changed last; ended_ms and version may be beyond it. head and rest: the columns
    before `endedAt`, and those between `duration` and `version`. is_placed: whether nothing of an event but its time
    can change the row, unless it opened the session; is_placeless: nor anything that names no place.
    """

    row: SessionRow
    head: Raw
    rest: Raw
    started_ms: int
    ended_ms: int
    version: int
    is_placed: bool
    is_placeless: bool

    @classmethod
    def of(cls, row: SessionRow) -> Self:
        values = row.to_tuple()
        return cls(
            row=row,
            head=piece(values[:ENDED_AT]),
            rest=piece(values[ENDED_AT + 2 : VERSION]),
            started_ms=milliseconds(row.startedAt),
            ended_ms=milliseconds(row.endedAt),
            version=row.version,
            is_placed=not row.deleted and row.countryCode != "",
            is_placeless=not row.deleted and (row.countryCode, row.city, row.latitude, row.longitude) == NO_PLACE,
        )

    def longer(self, ended_ms: int) -> "KeptRow":
        """The next version, with another end."""
        return KeptRow(
            self.row, self.head, self.rest, self.started_ms, ended_ms, self.version + 1, self.is_placed,
            self.is_placeless,
        )  # fmt: skip

    def whole(self) -> SessionRow:
        """The row with all its columns."""
        if self.version == self.row.version:
            return self.row
        ended_at, duration = timestamp(self.ended_ms), whole_seconds(self.ended_ms - self.started_ms)
        return msgspec.structs.replace(self.row, endedAt=ended_at, duration=duration, version=self.version)

    def to_tuple(self) -> tuple[Any, ...]:
        """In the order of SESSION_COLUMNS, in pieces."""
        if self.version == self.row.version:
            duration = self.row.duration
        else:
            duration = whole_seconds(self.ended_ms - self.started_ms)
        return self.head, timestamp(self.ended_ms), duration, self.rest, self.version, self.row.mergeId


def next_row(kept: KeptRow | None, part: SessionPart) -> KeptRow | None:
    """As `fold`, for rows that are kept."""
    if kept is not None and not part.opens and (kept.is_placed or (kept.is_placeless and part.is_placeless)):
        return kept.longer(part.ended_ms) if part.ended_ms > kept.ended_ms else None
    row = fold(None if kept is None else kept.whole(), part)
    return None if row is None else KeptRow.of(row)


def fold(stored: SessionRow | None, part: SessionPart) -> SessionRow | None:
    """The row after the part, its version one higher; None when the part changes nothing.

    A page leave of a session without a row changes nothing: its opening event was never stored.
    """
    attributes = jobs.attributes_of(part)
    if stored is None:
        return None if attributes is None else _opened(part, attributes)
    ended_at = timestamp(part.ended_ms)
    if stored.deleted:
        return _reopened(stored, part, attributes, ended_at)
    changes = _learned(stored, attributes, opens=part.opens)
    # Times as text of one length sort as times.
    if ended_at > stored.endedAt:
        # A merge of users may have given the visit an earlier start than its jobs know.
        changes |= {"endedAt": ended_at, "duration": whole_seconds(part.ended_ms - milliseconds(stored.startedAt))}
    return msgspec.structs.replace(stored, version=stored.version + 1, **changes) if changes else None


def _reopened(
    stored: SessionRow, part: SessionPart, attributes: SessionAttributes | None, ended_at: str
) -> SessionRow | None:
    """A visit that went to another user at the time its row ends with; what came later is its first user's again."""
    if attributes is None or ended_at <= stored.endedAt:
        return None
    opened = _opened(part, attributes)
    return msgspec.structs.replace(opened, version=stored.version + 1, mergeId=stored.mergeId)


def _learned(stored: SessionRow, attributes: SessionAttributes | None, *, opens: bool) -> dict[str, Any]:
    """The columns that attributes know better: all if they are of the opening event, else a place that was missing."""
    if attributes is None or not (opens or not stored.countryCode):
        return {}
    columns = _columns(attributes)
    names = columns if opens else PLACE_COLUMNS
    return {name: columns[name] for name in names if columns[name] != getattr(stored, name)}


def whole_seconds(milliseconds_passed: int) -> int:
    """Rounded half up, as JavaScript's Math.round does."""
    return (milliseconds_passed + 500) // 1000


def _opened(part: SessionPart, attributes: SessionAttributes) -> SessionRow:
    # The clock may have been set back since the visit began; the store takes no negative duration.
    ended_ms = max(part.started_ms, part.ended_ms)
    return SessionRow(
        deleted=0,
        projectId=part.project_id,
        userId=part.user_id,
        id=part.session_id,
        startedAt=timestamp(part.started_ms),
        endedAt=timestamp(ended_ms),
        duration=whole_seconds(ended_ms - part.started_ms),
        importSource="",
        version=1,
        **_columns(attributes),
    )


def _columns(attributes: SessionAttributes) -> dict[str, Any]:
    columns = dict(zip(COLUMNS, msgspec.structs.astuple(attributes), strict=True))
    # Nobody's name is NULL in this table, not ''.
    columns["userIdentifier"] = columns["userIdentifier"] or None
    columns["userDisplayName"] = columns["userDisplayName"] or None
    return columns
