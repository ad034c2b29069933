"""Organizations, who is in them, and which projects a member may see."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, Select, select

from vemetric.database.database import Connection
from vemetric.database.tables import account, feature_flag, membership, organization, project_access
from vemetric.model.organization import Member, Membership, Organization, Role

ORGANIZATION_COLUMNS = (
    organization.c.id,
    organization.c.name,
    organization.c.created_at_ms,
    organization.c.events_per_month_max,
)


async def create(connection: Connection, new: Organization) -> None:
    """Keep a new organization."""
    await connection.change(
        sqlalchemy.insert(organization).values(id=new.id, name=new.name, created_at_ms=new.created_at_ms)
    )


async def by_id(connection: Connection, organization_id: str) -> Organization | None:
    """The organization of an id."""
    row = await connection.row(select(*ORGANIZATION_COLUMNS).where(organization.c.id == organization_id))
    return None if row is None else Organization(**row._mapping)


async def everything(connection: Connection) -> list[Organization]:
    """All organizations, the oldest first."""
    return await _all(connection, select(*ORGANIZATION_COLUMNS))


async def of_account(connection: Connection, account_id: str) -> list[Organization]:
    """The organizations the account is in, the oldest first."""
    return await _all(connection, _of(account_id))


async def administered_by(connection: Connection, account_id: str) -> list[Organization]:
    """The organizations the account is an admin of, the oldest first."""
    return await _all(connection, _of(account_id).where(membership.c.role == Role.ADMIN.value))


async def update(connection: Connection, changed: Organization) -> bool:
    """Store name and limit; False if there is no such organization."""
    statement = sqlalchemy.update(organization).where(organization.c.id == changed.id)
    values = {"name": changed.name, "events_per_month_max": changed.events_per_month_max}
    return await connection.change(statement.values(values)) == 1


async def delete(connection: Connection, organization_id: str) -> bool:
    """Delete the organization with its projects, members and invitations; False if there is none."""
    return await connection.change(sqlalchemy.delete(organization).where(organization.c.id == organization_id)) == 1


async def add_member(connection: Connection, new: Membership, now_ms: int) -> bool:
    """Take the account in; False, and nothing changed, if it is in already."""
    return await connection.insert_if_absent(
        membership,
        {
            "account_id": new.account_id,
            "organization_id": new.organization_id,
            "role": new.role.value,
            "created_at_ms": now_ms,
        },
    )


async def role_of(connection: Connection, organization_id: str, account_id: str) -> Role | None:
    """The account's role in the organization; None if it is not in it."""
    role = await connection.value(select(membership.c.role).where(*_one(organization_id, account_id)))
    return None if role is None else Role(role)


async def members(connection: Connection, organization_id: str) -> list[Member]:
    """Who is in the organization, who came first first."""
    rows = await connection.rows(
        select(membership, account.c.name, account.c.email)
        .join(account, account.c.id == membership.c.account_id)
        .where(membership.c.organization_id == organization_id)
        .order_by(membership.c.created_at_ms, membership.c.account_id)
    )
    listed: defaultdict[str, list[int]] = defaultdict(list)
    pairs = select(project_access.c.account_id, project_access.c.project_id)
    of_organization = project_access.c.organization_id == organization_id
    for row in await connection.rows(pairs.where(of_organization).order_by(project_access.c.project_id)):
        listed[row.account_id].append(row.project_id)
    return [
        Member(
            account_id=row.account_id,
            name=row.name,
            email=row.email,
            role=Role(row.role),
            joined_at_ms=row.created_at_ms,
            project_ids=tuple(listed[row.account_id]) if row.is_restricted else None,
        )
        for row in rows
    ]


async def set_role(connection: Connection, organization_id: str, account_id: str, role: Role) -> bool:
    """Change a member's role; False if the account is not in the organization."""
    statement = sqlalchemy.update(membership).where(*_one(organization_id, account_id))
    return await connection.change(statement.values(role=role.value)) == 1


async def set_access(connection: Connection, organization_id: str, account_id: str, ids: Sequence[int] | None) -> None:
    """Let a member see only these projects of the organization; None: all of them."""
    is_restricted = sqlalchemy.update(membership).where(*_one(organization_id, account_id))
    await connection.change(is_restricted.values(is_restricted=ids is not None))
    of_member = (project_access.c.organization_id == organization_id, project_access.c.account_id == account_id)
    await connection.change(sqlalchemy.delete(project_access).where(*of_member))
    rows = [{"account_id": account_id, "organization_id": organization_id, "project_id": one} for one in ids or ()]
    await connection.change(sqlalchemy.insert(project_access), rows)


async def remove_member(connection: Connection, organization_id: str, account_id: str) -> bool:
    """Let the account out, its project access with it; False if it was not in."""
    return await connection.change(sqlalchemy.delete(membership).where(*_one(organization_id, account_id))) == 1


async def admins(connection: Connection, organization_id: str) -> list[str]:
    """The ids of the accounts that are admins."""
    is_admin = (membership.c.organization_id == organization_id, membership.c.role == Role.ADMIN.value)
    return [row.account_id for row in await connection.rows(select(membership.c.account_id).where(*is_admin))]


async def feature_flags(connection: Connection, organization_id: str) -> list[str]:
    """The names of the features that are switched on, in order."""
    of_organization = feature_flag.c.organization_id == organization_id
    rows = await connection.rows(select(feature_flag.c.name).where(of_organization).order_by(feature_flag.c.name))
    return [row.name for row in rows]


async def set_feature_flags(connection: Connection, organization_id: str, names: Sequence[str]) -> None:
    """Switch on these features and no others."""
    await connection.change(sqlalchemy.delete(feature_flag).where(feature_flag.c.organization_id == organization_id))
    rows = [{"organization_id": organization_id, "name": name} for name in names]
    await connection.change(sqlalchemy.insert(feature_flag), rows)


def _of(account_id: str) -> Select[Any]:
    joined = select(*ORGANIZATION_COLUMNS).join(membership, membership.c.organization_id == organization.c.id)
    return joined.where(membership.c.account_id == account_id)


def _one(organization_id: str, account_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return membership.c.organization_id == organization_id, membership.c.account_id == account_id


async def _all(connection: Connection, statement: Select[Any]) -> list[Organization]:
    oldest_first = statement.order_by(organization.c.created_at_ms, organization.c.id)
    return [Organization(**row._mapping) for row in await connection.rows(oldest_first)]
