"""What an admin changes about a project: name, domain, time zone, token, publicity; exclusions.py has its lists.

Each change is read and written in one transaction, so that two admins do not undo each other.
"""

from collections.abc import Callable

import msgspec

from vemetric import errors
from vemetric.accounts import fields
from vemetric.accounts.projects import DOMAIN_LOCK
from vemetric.clock import Clock
from vemetric.config import RETENTION_DAYS_MAX, RETENTION_DAYS_MIN
from vemetric.database import projects as stored_projects
from vemetric.database.database import Database
from vemetric.model import ids
from vemetric.model.project import Project

RETENTION_DIGITS_MAX = 6


async def change_details(
    database: Database, clock: Clock, project_id: int, name: str, domain: str, time_zone: str
) -> Project:
    """Store the three. Raises Invalid per field, Conflict when the domain is taken, NotFound when it is gone."""
    typed = fields.clean(
        name=(fields.name, name), domain=(fields.domain, domain), time_zone=(fields.time_zone, time_zone)
    )
    return await change(database, clock, project_id, lambda project: msgspec.structs.replace(project, **typed))


async def count_bounces(database: Database, clock: Clock, project_id: int, *, events_prevent: bool) -> Project:
    """Say whether a visit with a custom event is no bounce. Raises NotFound when the project is gone."""
    return await change(
        database,
        clock,
        project_id,
        lambda project: msgspec.structs.replace(project, events_prevent_bounce=events_prevent),
    )


async def keep(database: Database, clock: Clock, project_id: int, days: str) -> Project:
    """Say how long rows are kept: a number of days, 0 for ever, '' as the server is set.

    Raises Invalid, NotFound when the project is gone.
    """
    typed = fields.clean(retention_days=(retention, days))
    return await change(database, clock, project_id, lambda project: msgspec.structs.replace(project, **typed))


def retention(typed: str) -> int | None:
    """The number of days as it is typed. Raises ValueError with a sentence."""
    text = typed.strip()
    if not text:
        return None
    days = int(text) if text.isascii() and text.isdigit() and len(text) <= RETENTION_DIGITS_MAX else -1
    if days != 0 and not RETENTION_DAYS_MIN <= days <= RETENTION_DAYS_MAX:
        raise ValueError(f"A whole number from {RETENTION_DAYS_MIN} to {RETENTION_DAYS_MAX}, or 0 for ever.")
    return days


async def publish(
    database: Database, clock: Clock, project_id: int, is_public: bool, is_indexed: bool = False
) -> Project:
    """Show the dashboard to everybody, or to nobody but members. is_indexed: search engines may list it then."""
    publicity = {"public_dashboard": is_public, "public_indexed": is_public and is_indexed}
    return await change(database, clock, project_id, lambda project: msgspec.structs.replace(project, **publicity))


async def rotate_token(database: Database, clock: Clock, project_id: int) -> Project:
    """Give the project a new token; what is sent with the old one is refused from now on."""
    token = ids.random_id(ids.TOKEN_LENGTH)
    return await change(database, clock, project_id, lambda project: msgspec.structs.replace(project, token=token))


async def change(database: Database, clock: Clock, project_id: int, change: Callable[[Project], Project]) -> Project:
    """Store what the function makes of the project as it is now. Raises NotFound, and Conflict for a taken domain."""
    async with database.begin() as connection:
        await connection.lock(DOMAIN_LOCK)
        project = await stored_projects.by_id(connection, project_id)
        if project is None:
            raise errors.NotFound
        changed = change(project)
        other = await stored_projects.by_domain(connection, changed.domain)
        if other is not None and other.id != project_id:
            raise errors.Conflict(f"There is a project for {changed.domain} already.")
        await stored_projects.update_settings(connection, changed, clock.now_ms())
    return changed
