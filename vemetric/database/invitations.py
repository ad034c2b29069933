"""Invitations to organizations, found by the token of their link."""

from collections import defaultdict
from typing import Any

import sqlalchemy
from sqlalchemy import ColumnElement, select

from vemetric.database.database import Connection
from vemetric.database.tables import account, invitation, invitation_project_access
from vemetric.model.organization import Invitation, Role


async def create(connection: Connection, new: Invitation, created_by_id: str) -> None:
    """Keep a new invitation."""
    values = {
        "token": new.token,
        "organization_id": new.organization_id,
        "role": new.role.value,
        "is_restricted": new.project_ids is not None,
        "created_by_id": created_by_id,
        "email": new.email,
        "created_at_ms": new.created_at_ms,
    }
    await connection.change(sqlalchemy.insert(invitation).values(values))
    rows = [
        {"invitation_token": new.token, "organization_id": new.organization_id, "project_id": project_id}
        for project_id in new.project_ids or ()
    ]
    await connection.change(sqlalchemy.insert(invitation_project_access), rows)


async def by_token(connection: Connection, token: str) -> Invitation | None:
    """The invitation of a token, however old."""
    found = await _all(connection, invitation.c.token == token)
    return found[0] if found else None


async def of_organization(connection: Connection, organization_id: str) -> list[Invitation]:
    """The organization's invitations, the newest first."""
    return await _all(connection, invitation.c.organization_id == organization_id)


async def delete(connection: Connection, organization_id: str, token: str) -> bool:
    """Delete one of the organization's invitations; False if it has no such one."""
    where = (invitation.c.organization_id == organization_id, invitation.c.token == token)
    return await connection.change(sqlalchemy.delete(invitation).where(*where)) == 1


async def delete_of_maker(connection: Connection, account_id: str, organization_id: str | None = None) -> int:
    """Delete what an account made, for one organization or for all; returns how many."""
    where = [invitation.c.created_by_id == account_id]
    if organization_id is not None:
        where.append(invitation.c.organization_id == organization_id)
    return await connection.change(sqlalchemy.delete(invitation).where(*where))


async def delete_older(connection: Connection, organization_id: str, created_at_ms: int) -> int:
    """Delete the organization's invitations made before a time; returns how many."""
    where = (invitation.c.organization_id == organization_id, invitation.c.created_at_ms < created_at_ms)
    return await connection.change(sqlalchemy.delete(invitation).where(*where))


async def _all(connection: Connection, condition: ColumnElement[bool]) -> list[Invitation]:
    columns: tuple[Any, ...] = (
        invitation.c.token,
        invitation.c.organization_id,
        invitation.c.role,
        invitation.c.is_restricted,
        invitation.c.created_at_ms,
        invitation.c.email,
        account.c.name.label("created_by"),
    )
    chosen = select(*columns).outerjoin(account, account.c.id == invitation.c.created_by_id).where(condition)
    rows = await connection.rows(chosen.order_by(invitation.c.created_at_ms.desc(), invitation.c.token))
    access = invitation_project_access
    pairs = select(access.c.invitation_token, access.c.project_id).where(
        access.c.invitation_token.in_(select(invitation.c.token).where(condition))
    )
    listed: defaultdict[str, list[int]] = defaultdict(list)
    for row in await connection.rows(pairs.order_by(access.c.project_id)):
        listed[row.invitation_token].append(row.project_id)
    return [
        Invitation(
            token=row.token,
            organization_id=row.organization_id,
            role=Role(row.role),
            created_at_ms=row.created_at_ms,
            created_by=row.created_by or "",
            email=row.email,
            project_ids=tuple(listed[row.token]) if row.is_restricted else None,
        )
        for row in rows
    ]
