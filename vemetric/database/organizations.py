"""Organizations and who is in them."""

import sqlalchemy
from sqlalchemy import select

from vemetric.database.database import Connection
from vemetric.database.tables import membership, organization
from vemetric.model.organization import Membership, Organization, Role

ORGANIZATION_COLUMNS = (organization.c.id, organization.c.name, organization.c.created_at_ms)


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
    oldest_first = select(*ORGANIZATION_COLUMNS).order_by(organization.c.created_at_ms, organization.c.id)
    return [Organization(**row._mapping) for row in await connection.rows(oldest_first)]


async def of_account(connection: Connection, account_id: str) -> list[Organization]:
    """The organizations the account is in, the oldest first."""
    rows = await connection.rows(
        select(*ORGANIZATION_COLUMNS)
        .join(membership, membership.c.organization_id == organization.c.id)
        .where(membership.c.account_id == account_id)
        .order_by(organization.c.created_at_ms, organization.c.id)
    )
    return [Organization(**row._mapping) for row in rows]


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
    role = await connection.value(
        select(membership.c.role).where(
            membership.c.organization_id == organization_id, membership.c.account_id == account_id
        )
    )
    return None if role is None else Role(role)
