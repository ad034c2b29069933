"""Projects with their exclusions, and who may see them."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

import sqlalchemy
from sqlalchemy import Column, ColumnElement, Select, and_, exists, literal_column, or_, select, union_all

from vemetric.database.database import Connection
from vemetric.database.tables import (
    excluded_country,
    excluded_host,
    excluded_ip,
    excluded_path,
    membership,
    project,
    project_access,
)
from vemetric.model.organization import Role
from vemetric.model.project import Project

PROJECT_COLUMNS = (
    project.c.id,
    project.c.organization_id,
    project.c.name,
    project.c.domain,
    project.c.token,
    project.c.time_zone,
    project.c.public_dashboard,
    project.c.public_indexed,
    project.c.events_prevent_bounce,
    project.c.retention_days,
    project.c.first_event_at_ms,
    project.c.created_at_ms,
)
# Whose visits do not count: the field of the project with the column that lists its values.
EXCLUSIONS: dict[str, Column[str]] = {
    "excluded_ips": excluded_ip.c.ip,
    "excluded_countries": excluded_country.c.country_code,
    "excluded_paths": excluded_path.c.path,
    "excluded_hosts": excluded_host.c.host,
}


async def create(connection: Connection, new: Project) -> None:
    """Keep a new project. Raises Conflict when its domain or token is taken."""
    values = {column.name: getattr(new, column.name) for column in PROJECT_COLUMNS}
    await connection.change(sqlalchemy.insert(project).values(**values, updated_at_ms=new.created_at_ms))
    await _set_exclusions(connection, new)


async def by_tokens(connection: Connection, tokens: Collection[str]) -> dict[str, Project]:
    """The projects of public tokens, by token. Anything but text is no token, whatever a request's body holds."""
    texts = [token for token in tokens if isinstance(token, str)]
    found = await _all(connection, select(*PROJECT_COLUMNS).where(project.c.token.in_(texts))) if texts else []
    return {one.token: one for one in found}


async def by_id(connection: Connection, project_id: int) -> Project | None:
    """The project of an id."""
    return await _one(connection, project.c.id == project_id)


async def existing(connection: Connection, project_ids: set[int]) -> set[int]:
    """Those of the ids that are a project's."""
    return {row.id for row in await connection.rows(select(project.c.id).where(project.c.id.in_(project_ids)))}


async def by_domain(connection: Connection, domain: str) -> Project | None:
    """The project of a domain as accounts/projects.py writes it."""
    return await _one(connection, project.c.domain == domain)


async def everything(connection: Connection) -> list[Project]:
    """All projects, the oldest first."""
    return await _all(connection, select(*PROJECT_COLUMNS))


async def of_organization(connection: Connection, organization_id: str) -> list[Project]:
    """The projects of the organization, the oldest first."""
    return await _all(connection, select(*PROJECT_COLUMNS).where(project.c.organization_id == organization_id))


async def of_account(connection: Connection, account_id: str) -> list[Project]:
    """The projects the account may see through its memberships, the oldest first."""
    return await _all(connection, _visible_to(account_id))


async def is_visible(connection: Connection, project_id: int, account_id: str) -> bool:
    """Whether the account may see the project through a membership."""
    return await connection.value(_visible_to(account_id).where(project.c.id == project_id)) is not None


async def without_first_event(connection: Connection) -> list[Project]:
    """The projects no event has been noticed of yet."""
    return await _all(connection, select(*PROJECT_COLUMNS).where(project.c.first_event_at_ms.is_(None)))


async def update_settings(connection: Connection, changed: Project, now_ms: int) -> bool:
    """Store name, domain, token, time zone, publicity and exclusions as they are in `changed`; False if it is gone.

    Raises Conflict when the domain or the token is taken.
    """
    values: dict[str, Any] = {
        "name": changed.name,
        "domain": changed.domain,
        "time_zone": changed.time_zone,
        "public_dashboard": changed.public_dashboard,
        "public_indexed": changed.public_indexed,
        "events_prevent_bounce": changed.events_prevent_bounce,
        "retention_days": changed.retention_days,
        "token": changed.token,
        "updated_at_ms": now_ms,
    }
    if not await connection.change(sqlalchemy.update(project).where(project.c.id == changed.id).values(values)):
        return False
    for column in EXCLUSIONS.values():
        await connection.change(sqlalchemy.delete(column.table).where(column.table.c.project_id == changed.id))
    await _set_exclusions(connection, changed)
    return True


async def delete(connection: Connection, project_id: int) -> bool:
    """Delete the project with all that belongs to it here; False if there is none."""
    return await connection.change(sqlalchemy.delete(project).where(project.c.id == project_id)) == 1


async def set_first_event_at(connection: Connection, project_id: int, first_event_at_ms: int) -> bool:
    """Note when the first event came: the earliest time stays, whoever comes first. True if it was this one."""
    known = project.c.first_event_at_ms
    is_earlier = or_(known.is_(None), known > first_event_at_ms)
    statement = sqlalchemy.update(project).where(project.c.id == project_id, is_earlier)
    return await connection.change(statement.values(first_event_at_ms=first_event_at_ms)) == 1


def _visible_to(account_id: str) -> Select[Any]:
    """Admins see every project of the organization; so do members who are not restricted; others what is listed."""
    joined = and_(
        membership.c.organization_id == project.c.organization_id,
        membership.c.account_id == account_id,
    )
    listed = exists().where(
        project_access.c.account_id == account_id,
        project_access.c.organization_id == project.c.organization_id,
        project_access.c.project_id == project.c.id,
    )
    is_admin = membership.c.role == Role.ADMIN.value
    return select(*PROJECT_COLUMNS).join(membership, joined).where(or_(is_admin, ~membership.c.is_restricted, listed))


async def _set_exclusions(connection: Connection, changed: Project) -> None:
    for field, column in EXCLUSIONS.items():
        values = [{"project_id": changed.id, column.name: value} for value in getattr(changed, field)]
        await connection.change(sqlalchemy.insert(column.table), values)


async def _one(connection: Connection, condition: ColumnElement[bool]) -> Project | None:
    found = await _all(connection, select(*PROJECT_COLUMNS).where(condition))
    return found[0] if found else None


async def _all(connection: Connection, statement: Select[Any]) -> list[Project]:
    rows = await connection.rows(statement.order_by(project.c.created_at_ms, project.c.id))
    if not rows:
        return []
    listed = await _exclusions(connection, statement.with_only_columns(project.c.id))
    return [
        Project(**dict(row._mapping) | {field: tuple(listed[row.id, field]) for field in EXCLUSIONS}) for row in rows
    ]


async def _exclusions(connection: Connection, chosen: Select[tuple[int]]) -> defaultdict[tuple[int, str], list[str]]:
    """What the columns of EXCLUSIONS list for each of the chosen projects, by project and field, in order.

    One statement, because all that hits ask for is read several times a second.
    """
    each = (
        select(literal_column(f"'{field}'").label("field"), column.table.c.project_id, column.label("listed")).where(
            column.table.c.project_id.in_(chosen)
        )
        for field, column in EXCLUSIONS.items()
    )
    found: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    for row in await connection.rows(union_all(*each).order_by("listed")):
        found[row.project_id, row.field].append(row.listed)
    return found
