"""Fold what batches say of a session into its row. Pure and idempotent; used by workers/session.py."""

from typing import Any

import msgspec

from vemetric.clickhouse.rows import SessionRow, milliseconds, timestamp
from vemetric.clickhouse.sink import SessionKey
from vemetric.ingest.jobs import SessionAttributes, SessionPart

# The columns of SessionAttributes by their names in the store, in order.
COLUMNS = tuple(field.encode_name for field in msgspec.structs.fields(SessionAttributes))
# (project id, user id, session id, fixed start in ms)
Visit = tuple[int, int, str, int]
PLACE_COLUMNS = ("countryCode", "city", "latitude", "longitude")


def visit_of(part: SessionPart) -> Visit:
    """Which visit it is about: the same as `key_of` says, and made at less cost."""
    return part.project_id, part.user_id, part.session_id, part.started_ms


def key_of(part: SessionPart) -> SessionKey:
    return SessionKey(part.project_id, part.user_id, part.session_id, timestamp(part.started_ms))


def fold(stored: SessionRow | None, part: SessionPart) -> SessionRow | None:
    """The row after the part, its version one higher; None when the part changes nothing.

    A page leave of a session without a row changes nothing: its opening event was never stored.
    """
    if stored is None:
        return None if part.attributes is None else _opened(part, part.attributes)
    ended_at = timestamp(part.ended_ms)
    if stored.deleted:
        return _reopened(stored, part, ended_at)
    changes = _learned(stored, part)
    # Times as text of one length sort as times.
    if ended_at > stored.endedAt:
        # A merge of users may have given the visit an earlier start than its jobs know.
        changes |= {"endedAt": ended_at, "duration": whole_seconds(part.ended_ms - milliseconds(stored.startedAt))}
    return msgspec.structs.replace(stored, version=stored.version + 1, **changes) if changes else None


def _reopened(stored: SessionRow, part: SessionPart, ended_at: str) -> SessionRow | None:
    """A visit that went to another user at the time its row ends with; what came later is its first user's again."""
    if part.attributes is None or ended_at <= stored.endedAt:
        return None
    opened = _opened(part, part.attributes)
    return msgspec.structs.replace(opened, version=stored.version + 1, mergeId=stored.mergeId)


def _learned(stored: SessionRow, part: SessionPart) -> dict[str, Any]:
    """The columns the part knows better: all of them if it is of the opening event, else a place that was missing."""
    if part.attributes is None or not (part.opens or not stored.countryCode):
        return {}
    columns = _columns(part.attributes)
    names = columns if part.opens else PLACE_COLUMNS
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
