"""What people change of their own account; the pages are in tests/web/test_account.py."""

import asyncio

from vemetric.accounts import profile, signup
from vemetric.clock import FrozenClock
from vemetric.database import accounts as stored_accounts
from vemetric.database.database import Database


async def test_of_two_changes_at_once_neither_is_lost(database: Database, clock: FrozenClock) -> None:
    ann = signup.new_account("ann@example.com", "Ann", False, 1)
    async with database.begin() as connection:
        await stored_accounts.create(connection, ann, None)
    for number in range(20):
        await asyncio.gather(
            profile.rename(database, clock, ann.id, f"Ann {number}"),
            profile.receive_tips(database, clock, ann.id, number % 2 == 0),
        )
        async with database.connect() as connection:
            now = await stored_accounts.by_id(connection, ann.id)
        assert now is not None
        assert (now.name, now.receives_tips) == (f"Ann {number}", number % 2 == 0)
