"""What an admin changes about a project: its name, domain and time zone, and whose visits do not count.

Each change is read and written in one transaction, so that two admins do not undo each other.
"""

import ipaddress
from collections.abc import Callable

import msgspec

from vemetric import errors
from vemetric.accounts import fields
from vemetric.accounts.projects import DOMAIN_LOCK
from vemetric.clock import Clock
from vemetric.database import projects as stored_projects
from vemetric.database.database import Database
from vemetric.enrich import countries
from vemetric.model.project import Project

EXCLUDED_IPS_MAX = 100
EXCLUDED_COUNTRIES_MAX = 25


async def change_details(
    database: Database, clock: Clock, project_id: int, name: str, domain: str, time_zone: str
) -> Project:
    """Store the three. Raises Invalid per field, Conflict when the domain is taken, NotFound when it is gone."""
    typed = fields.clean(
        name=(fields.name, name), domain=(fields.domain, domain), time_zone=(fields.time_zone, time_zone)
    )
    return await _change(database, clock, project_id, lambda project: msgspec.structs.replace(project, **typed))


async def exclude_ip(database: Database, clock: Clock, project_id: int, typed: str) -> Project:
    """Do not count an address any more. Raises Invalid when it is none, or when there are too many."""
    ip = _address(typed)

    def change(project: Project) -> Project:
        listed = sorted({*project.excluded_ips, ip})
        if len(listed) > EXCLUDED_IPS_MAX:
            raise errors.Invalid(None, {"ip": f"At most {EXCLUDED_IPS_MAX} addresses can be excluded."})
        return msgspec.structs.replace(project, excluded_ips=tuple(listed))

    return await _change(database, clock, project_id, change)


async def include_ip(database: Database, clock: Clock, project_id: int, ip: str) -> Project:
    """Count an address again."""
    return await _change(
        database,
        clock,
        project_id,
        lambda project: msgspec.structs.replace(
            project, excluded_ips=tuple(listed for listed in project.excluded_ips if listed != ip)
        ),
    )


async def exclude_country(database: Database, clock: Clock, project_id: int, code: str) -> Project:
    """Do not count a country any more. Raises Invalid when there is none of that code, or when there are too many."""
    if code not in countries.names():
        raise errors.Invalid(None, {"country": "Choose a country."})

    def change(project: Project) -> Project:
        listed = sorted({*project.excluded_countries, code})
        if len(listed) > EXCLUDED_COUNTRIES_MAX:
            raise errors.Invalid(None, {"country": f"At most {EXCLUDED_COUNTRIES_MAX} countries can be excluded."})
        return msgspec.structs.replace(project, excluded_countries=tuple(listed))

    return await _change(database, clock, project_id, change)


async def include_country(database: Database, clock: Clock, project_id: int, code: str) -> Project:
    """Count a country again."""
    return await _change(
        database,
        clock,
        project_id,
        lambda project: msgspec.structs.replace(
            project, excluded_countries=tuple(listed for listed in project.excluded_countries if listed != code)
        ),
    )


async def _change(database: Database, clock: Clock, project_id: int, change: Callable[[Project], Project]) -> Project:
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


def _address(typed: str) -> str:
    """An address in the form that connections show it."""
    try:
        return ipaddress.ip_address(typed.strip().strip("[]").partition("%")[0]).compressed
    except ValueError:
        raise errors.Invalid(None, {"ip": "This is not an IPv4 or IPv6 address."}) from None
