"""What people change of their own account; the pages are in tests/web/test_account.py."""

import asyncio

from vemetric.accounts import profile, signup
from vemetric.clock import FrozenClock
from vemetric.database import accounts as stored_accounts
from vemetric.database import letters as stored_letters
from vemetric.database.database import Database
from vemetric.model.letter import Letter


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


async def test_letters_to_the_address_from_before_the_account_end_with_it(
    database: Database, clock: FrozenClock
) -> None:
    ann = signup.new_account("ann@example.com", "Ann", False, 1)
    async with database.begin() as connection:
        await stored_accounts.create(connection, ann, None)
        for address in ("ann@example.com", "ben@example.com"):
            await stored_letters.create(connection, Letter(address, "invitation", address, "Join", "", "", 1))
    await profile.delete(database, ann)
    async with database.connect() as connection:
        assert [letter.address for letter in await stored_letters.latest(connection, 5)] == ["ben@example.com"]
