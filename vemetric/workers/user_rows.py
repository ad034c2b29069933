"""Build and change rows of users. Pure; used by create_user.py, update_user.py and enrich_user.py."""

import logging
from collections.abc import Sequence
from typing import Any

import msgspec

from vemetric.clickhouse.rows import timestamp
from vemetric.clickhouse.user_row import UserRow, new_row
from vemetric.ingest.jobs import CreateUserJob, UpdateUserJob, UserSource
from vemetric.model import user
from vemetric.model.user import UserData

# What a site may keep about one user; a change that would pass it is not made.
USER_DATA_BYTES_MAX = 262_144

log = logging.getLogger(__name__)


def created(job: CreateUserJob, user_id: int, stored: UserRow | None, source: UserSource | None) -> UserRow:
    """The first row of a user who is known from now on. stored: a deleted one that it has to stand above."""
    row = msgspec.structs.replace(
        new_row(job.project_id, user_id, job.identifier, job.created_ms),
        displayName=job.display_name,
        avatarUrl=job.avatar_url,
        countryCode=job.place.country_code,
        city=job.place.city,
        latitude=job.place.latitude,
        longitude=job.place.longitude,
        version=1 if stored is None else stored.version + 1,
    )
    return row if source is None else msgspec.structs.replace(row, **_from_source(row, source))


def updated(row: UserRow, jobs: Sequence[UpdateUserJob]) -> UserRow | None:
    """The row after what the jobs say, in their order; None if they change nothing."""
    changed = row
    for job in jobs:
        changes = _changes(changed, job)
        if changes:
            updated_at = max(changed.updatedAt, timestamp(job.updated_ms))
            changed = msgspec.structs.replace(changed, updatedAt=updated_at, **changes)
    return None if changed is row else msgspec.structs.replace(changed, version=row.version + 1)


def source_of(page_view: tuple[Any, ...]) -> UserSource:
    """Where a user came from, by the values of the first page view (in the order of users.PAGE_VIEW_COLUMNS)."""
    return UserSource(*page_view)


def _changes(row: UserRow, job: UpdateUserJob) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if job.display_name is not None and job.display_name != row.displayName:
        changes["displayName"] = job.display_name
    if job.avatar_url is not None and job.avatar_url != row.avatarUrl:
        changes["avatarUrl"] = job.avatar_url
    if job.data is not None:
        changes |= _changed_data(row, job.data)
    if job.source is not None and not row.origin:
        changes |= _from_source(row, job.source)
    return changes


def _changed_data(row: UserRow, data: bytes) -> dict[str, Any]:
    existing: dict[str, Any] = msgspec.json.decode(row.customData or "{}")
    merged = user.merge(existing, msgspec.json.decode(data, type=UserData))
    if merged == existing:
        return {}
    text = msgspec.json.encode(merged)
    if len(text) > USER_DATA_BYTES_MAX:
        log.warning("A user of project %d has too much data; a change of it was not made", row.projectId)
        return {}
    return {"customData": text.decode()}


def _from_source(row: UserRow, source: UserSource) -> dict[str, Any]:
    """The columns of the first page view; where it knows no place, that of the identification stays."""
    columns = {field.encode_name: getattr(source, field.name) for field in msgspec.structs.fields(source)}
    if not source.country_code:
        for name in ("countryCode", "city", "latitude", "longitude"):
            del columns[name]
    columns["firstSeenAt"] = min(source.first_seen_at, row.firstSeenAt)
    return columns
