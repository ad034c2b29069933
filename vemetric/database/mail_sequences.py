"""Sequences of tips: how far each is, and for whom one is due."""

from typing import Any

import msgspec
import sqlalchemy
from sqlalchemy import select
from sqlalchemy.engine import Row

from vemetric.database import accounts
from vemetric.database.database import Connection
from vemetric.database.tables import account, mail_sequence, membership, project
from vemetric.model.account import Account
from vemetric.model.organization import Role
from vemetric.model.sequence import Sequence, SequenceKind, SequenceStatus

COLUMNS = tuple(mail_sequence.c[field] for field in Sequence.__struct_fields__)


async def of_subject(
    connection: Connection, kind: SequenceKind, account_id: str | None, project_id: int | None
) -> Sequence | None:
    """The sequence of an account or a project."""
    mine = mail_sequence.c.project_id == project_id if account_id is None else mail_sequence.c.account_id == account_id
    row = await connection.row(select(*COLUMNS).where(mail_sequence.c.kind == kind, mine))
    return None if row is None else _sequence(row)


async def store(connection: Connection, changed: Sequence) -> None:
    """Keep a sequence, new or changed."""
    values = msgspec.structs.asdict(changed)
    if not await connection.insert_if_absent(mail_sequence, values):
        await connection.change(sqlalchemy.update(mail_sequence).where(mail_sequence.c.id == changed.id).values(values))


async def due(connection: Connection, kind: SequenceKind, step: int, before_ms: int, limit: int) -> list[Sequence]:
    """Sequences that wrote their last letter before then and have another one to write."""
    rows = await connection.rows(
        select(*COLUMNS)
        .where(
            mail_sequence.c.kind == kind,
            mail_sequence.c.step == step,
            mail_sequence.c.status == SequenceStatus.ACTIVE,
            mail_sequence.c.last_sent_at_ms <= before_ms,
        )
        .limit(limit)
    )
    return [_sequence(row) for row in rows]


async def accounts_without_project(connection: Connection, since_ms: int, until_ms: int, limit: int) -> list[str]:
    """Accounts proved in that time that are in no organization with a project, and have had no letter about it."""
    has_project = (
        select(membership.c.account_id)
        .join(project, project.c.organization_id == membership.c.organization_id)
        .where(membership.c.account_id == account.c.id)
        .exists()
    )
    rows = await connection.rows(
        select(account.c.id)
        .where(
            account.c.email_verified_at_ms.between(since_ms, until_ms),
            account.c.receives_tips,
            ~has_project,
            ~_begun(SequenceKind.NO_PROJECT, mail_sequence.c.account_id == account.c.id),
        )
        .order_by(account.c.id)
        .limit(limit)
    )
    return [row.id for row in rows]


async def projects_without_events(connection: Connection, since_ms: int, until_ms: int, limit: int) -> list[int]:
    """Projects made in that time that have seen no event, and about which nobody was written."""
    rows = await connection.rows(
        select(project.c.id)
        .where(
            project.c.created_at_ms.between(since_ms, until_ms),
            project.c.first_event_at_ms.is_(None),
            ~_begun(SequenceKind.NO_EVENTS, mail_sequence.c.project_id == project.c.id),
        )
        .order_by(project.c.id)
        .limit(limit)
    )
    return [row.id for row in rows]


async def projects_begun(connection: Connection, since_ms: int, until_ms: int, limit: int) -> list[int]:
    """Projects whose first event was in that time."""
    rows = await connection.rows(
        select(project.c.id)
        .where(project.c.first_event_at_ms.between(since_ms, until_ms))
        .order_by(project.c.first_event_at_ms, project.c.id)
        .limit(limit)
    )
    return [row.id for row in rows]


async def first_admin(connection: Connection, organization_id: str) -> Account | None:
    """The admin with a proved address who joined first and likes tips."""
    row = await connection.row(
        select(*accounts.ACCOUNT_COLUMNS)
        .join(membership, membership.c.account_id == account.c.id)
        .where(
            membership.c.organization_id == organization_id,
            membership.c.role == Role.ADMIN,
            account.c.email_verified_at_ms.is_not(None),
            account.c.receives_tips,
        )
        .order_by(membership.c.created_at_ms, account.c.id)
        .limit(1)
    )
    return None if row is None else accounts.from_row(row)


def _begun(kind: SequenceKind, mine: sqlalchemy.ColumnElement[bool]) -> sqlalchemy.Exists:
    return select(mail_sequence.c.id).where(mail_sequence.c.kind == kind, mine).exists()


def _sequence(row: Row[Any]) -> Sequence:
    values = dict(row._mapping)
    return Sequence(**values | {"kind": SequenceKind(values["kind"]), "status": SequenceStatus(values["status"])})
