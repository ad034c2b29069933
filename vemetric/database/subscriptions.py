"""What organizations have bought, as Paddle told it last."""

from typing import Any

import msgspec
import sqlalchemy
from sqlalchemy import select
from sqlalchemy.engine import Row

from vemetric.database.database import Connection
from vemetric.database.tables import subscription
from vemetric.model.subscription import Subscription

COLUMNS = tuple(subscription.c[field] for field in Subscription.__struct_fields__)


async def of_organization(connection: Connection, organization_id: str) -> Subscription | None:
    """The subscription of an organization."""
    row = await connection.row(select(*COLUMNS).where(subscription.c.organization_id == organization_id))
    return None if row is None else _subscription(row)


async def by_id(connection: Connection, subscription_id: str) -> Subscription | None:
    """The subscription of Paddle's id."""
    row = await connection.row(select(*COLUMNS).where(subscription.c.subscription_id == subscription_id))
    return None if row is None else _subscription(row)


async def store(connection: Connection, changed: Subscription) -> None:
    """Keep a subscription, new or changed. Raises Conflict when its organization is gone."""
    values = msgspec.structs.asdict(changed)
    mine = subscription.c.organization_id == changed.organization_id
    if await connection.change(sqlalchemy.update(subscription).where(mine).values(values)) == 0:
        await connection.change(sqlalchemy.insert(subscription).values(values))


def _subscription(row: Row[Any]) -> Subscription:
    return Subscription(**row._mapping)
