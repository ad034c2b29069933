"""Notices of subscriptions that come at once, on every database: none undoes what another said."""

import asyncio
import json

from tests.accounts.test_projects import add_organization
from vemetric.accounts import billing, organizations
from vemetric.accounts.post import Post
from vemetric.clock import FrozenClock
from vemetric.database import organizations as stored_organizations
from vemetric.database.database import Database
from vemetric.queues.sqlite import SqliteQueue

PLANS = {"pri_a": 10_000, "pri_b": 100_000}


def a_notice(second: int, subscription: str, price: str) -> bytes:
    data = {"id": subscription, "status": "active", "items": [{"price": {"id": price}}]}
    data |= {"custom_data": {"organizationId": "acme"}}
    occurred_at = f"2026-03-10T12:00:{second:02}Z"
    return json.dumps({"event_type": "subscription.updated", "occurred_at": occurred_at, "data": data}).encode()


async def test_the_latest_notice_wins_and_a_new_name_stays(
    database: Database, keys: SqliteQueue, clock: FrozenClock
) -> None:
    await add_organization(database, "acme", "Acme")
    post = Post(database, keys, clock, None, "https://stats.example.com", b"secret")
    notices = [a_notice(second, "sub_1", "pri_b" if second == 7 else "pri_a") for second in range(8)]
    await asyncio.gather(
        *(billing.take(database, post, PLANS, notice) for notice in reversed(notices)),
        *(billing.take(database, post, PLANS, notice) for notice in notices),
        organizations.rename(database, "acme", "Acme Corp"),
    )
    found = await billing.of_organization(database, "acme")
    async with database.connect() as connection:
        organization = await stored_organizations.by_id(connection, "acme")
    assert found is not None
    assert organization is not None
    assert (found.price_id, organization.events_per_month_max, organization.name) == ("pri_b", 100_000, "Acme Corp")


async def test_of_two_that_are_bought_at_once_one_holds(
    database: Database, keys: SqliteQueue, clock: FrozenClock
) -> None:
    await add_organization(database, "acme", "Acme")
    post = Post(database, keys, clock, None, "https://stats.example.com", b"secret")
    both = (a_notice(1, "sub_1", "pri_a"), a_notice(2, "sub_2", "pri_b"))
    await asyncio.gather(*(billing.take(database, post, PLANS, notice) for notice in both))
    found = await billing.of_organization(database, "acme")
    async with database.connect() as connection:
        organization = await stored_organizations.by_id(connection, "acme")
    assert found is not None
    assert organization is not None
    assert organization.events_per_month_max == PLANS[found.price_id]
