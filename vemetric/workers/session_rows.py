"""Fold what batches say of a session into its row. Pure and idempotent; used by workers/session.py."""

from typing import Any

import msgspec

from vemetric.clickhouse.rows import SessionRow, milliseconds, timestamp
from vemetric.clickhouse.sink import SessionKey
from vemetric.ingest.jobs import SessionAttributes, SessionJob

# The columns of SessionAttributes by their names in the store.
COLUMNS = {field.name: field.encode_name for field in msgspec.structs.fields(SessionAttributes)}
PLACE_COLUMNS = ("countryCode", "city", "latitude", "longitude")


def key_of(job: SessionJob) -> SessionKey:
    return SessionKey(job.project_id, job.user_id, job.session_id, timestamp(job.started_ms))


def fold(stored: SessionRow | None, job: SessionJob) -> SessionRow | None:
    """The row after the job, its version one higher; None when the job changes nothing.

    A page leave of a session without a row changes nothing: its opening event was never stored.
    """
    if stored is None:
        return None if job.attributes is None else _opened(job, job.attributes)
    changes = _columns(job.attributes) if job.opens and job.attributes is not None else {}
    if not changes and job.attributes is not None and not stored.countryCode:
        changes = {column: value for column, value in _columns(job.attributes).items() if column in PLACE_COLUMNS}
    ended_ms = max(milliseconds(stored.endedAt), job.ended_ms)
    changes |= {"endedAt": timestamp(ended_ms), "duration": whole_seconds(ended_ms - job.started_ms)}
    changed = msgspec.structs.replace(stored, **changes)
    if changed == stored:
        return None
    changed.version = stored.version + 1
    return changed


def whole_seconds(milliseconds_passed: int) -> int:
    """Rounded half up, as JavaScript's Math.round does."""
    return (milliseconds_passed + 500) // 1000


def _opened(job: SessionJob, attributes: SessionAttributes) -> SessionRow:
    values: dict[str, Any] = {
        "deleted": 0,
        "projectId": job.project_id,
        "userId": job.user_id,
        "id": job.session_id,
        "startedAt": timestamp(job.started_ms),
        "endedAt": timestamp(job.ended_ms),
        "duration": whole_seconds(job.ended_ms - job.started_ms),
        "importSource": "",
        "version": 1,
    }
    return SessionRow(**values, **_columns(attributes))


def _columns(attributes: SessionAttributes) -> dict[str, Any]:
    values = {COLUMNS[name]: getattr(attributes, name) for name in COLUMNS}
    # Nobody's name is NULL in this table, not '' (ingest.md 7).
    return values | {name: values[name] or None for name in ("userIdentifier", "userDisplayName")}
