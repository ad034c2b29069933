"""Accounts, organizations, memberships."""

import pytest

from tests.database.conftest import NOW_MS, Cast, an_account
from vemetric import errors
from vemetric.database import accounts, organizations
from vemetric.database.database import Database
from vemetric.model.organization import Membership, Role


async def test_is_found_by_id_and_address(database: Database, cast: Cast) -> None:
    async with database.connect() as connection:
        assert await accounts.by_id(connection, cast.alice.id) == cast.alice
        assert await accounts.by_email(connection, "alice@example.com") == cast.alice
        assert await accounts.by_email(connection, "nobody@example.com") is None
        assert [account.name for account in await accounts.everyone(connection)] == ["Alice", "Bob", "Charlie"]
        assert await accounts.operators(connection) == [cast.alice]


async def test_exist_only_once_there_is_one(database: Database) -> None:
    async with database.begin() as connection:
        assert not await accounts.exist(connection)
        await accounts.create(connection, an_account("alice"), "hash")
        assert await accounts.exist(connection)


async def test_an_address_is_used_once(database: Database, cast: Cast) -> None:
    second = an_account("alice")
    with pytest.raises(errors.Conflict):
        async with database.begin() as connection:
            await accounts.create(connection, second, "hash")


async def test_a_password_is_replaced(database: Database, cast: Cast) -> None:
    async with database.begin() as connection:
        await accounts.set_password(connection, cast.bob.id, "new hash", NOW_MS)
        assert await accounts.password_hash(connection, cast.bob.id) == "new hash"
        assert await accounts.password_hash(connection, cast.alice.id) == "hash of Alice"
        assert await accounts.password_hash(connection, "nobody") is None


async def test_memberships(database: Database, cast: Cast) -> None:
    async with database.begin() as connection:
        assert await organizations.role_of(connection, "acme", cast.alice.id) is Role.ADMIN
        assert await organizations.role_of(connection, "acme", cast.bob.id) is Role.MEMBER
        assert await organizations.role_of(connection, "acme", cast.charlie.id) is None
        assert await organizations.of_account(connection, cast.bob.id) == [cast.organization]
        assert await organizations.of_account(connection, cast.charlie.id) == []
        promoted = Membership(cast.bob.id, "acme", Role.ADMIN)
        assert not await organizations.add_member(connection, promoted, NOW_MS)
        assert await organizations.role_of(connection, "acme", cast.bob.id) is Role.MEMBER


async def test_organizations(database: Database, cast: Cast) -> None:
    async with database.connect() as connection:
        assert await organizations.by_id(connection, "acme") == cast.organization
        assert await organizations.by_id(connection, "none") is None
        assert await organizations.everything(connection) == [cast.organization]
