"""Accounts made on the command line: the first one is the operator's."""

import msgspec
import pytest

from vemetric import errors
from vemetric.accounts import access, projects, setup, signup
from vemetric.clock import FrozenClock
from vemetric.database import accounts as stored_accounts
from vemetric.database.database import Database
from vemetric.model.organization import Role


async def test_the_first_is_the_operator_and_the_next_is_not(database: Database, clock: FrozenClock) -> None:
    first = await signup.create_account(database, clock, "a@example.com", "correct horse", "Alice")
    second = await signup.create_account(database, clock, "bob@example.com", "correct horse")
    assert (first.name, first.is_operator) == ("Alice", True)
    assert (second.name, second.is_operator) == ("bob", False)


async def test_an_address_is_used_once_in_any_case(database: Database, clock: FrozenClock) -> None:
    await signup.create_account(database, clock, "bob@example.com", "correct horse")
    with pytest.raises(errors.Conflict, match=r"bob@example\.com"):
        await signup.create_account(database, clock, "BOB@example.com", "correct horse")


async def test_what_is_wrong_is_named(database: Database, clock: FrozenClock) -> None:
    with pytest.raises(errors.Invalid) as raised:
        await signup.create_account(database, clock, "bob", "short")
    assert raised.value.fields.keys() == {"email", "password"}


async def test_a_member_joins_the_only_organization(database: Database, clock: FrozenClock) -> None:
    token = await setup.new_token(database, clock)
    made = await setup.complete(
        database,
        clock,
        token,
        setup.Form("Alice", "alice@example.com", "correct horse", "Acme", "Shop", "shop.example"),
    )
    bob = await signup.create_account(database, clock, "bob@example.com", "correct horse")
    ada = await signup.create_account(database, clock, "ada@example.com", "correct horse", role=Role.ADMIN)
    assert await access.role_in(database, bob, made.organization.id) is Role.MEMBER
    assert await access.role_in(database, ada, made.organization.id) is Role.ADMIN


@pytest.mark.parametrize("project_first", [True, False])
async def test_the_operator_sees_the_first_project_in_whatever_order(
    database: Database, clock: FrozenClock, project_first: bool
) -> None:
    if project_first:
        await projects.create_by_operator(database, clock, "Shop", "shop.example")
    account = await signup.create_account(database, clock, "a@example.com", "correct horse")
    if not project_first:
        await projects.create_by_operator(database, clock, "Shop", "shop.example")
    # Not only as the operator: the account belongs to the organization.
    plain = msgspec.structs.replace(account, is_operator=False)
    assert [project.domain for project in await access.projects_of(database, plain)] == ["shop.example"]


async def test_the_password_is_stored_hashed(database: Database, clock: FrozenClock) -> None:
    account = await signup.create_account(database, clock, "bob@example.com", "correct horse")
    async with database.connect() as connection:
        stored = await stored_accounts.password_hash(connection, account.id)
    assert stored is not None
    assert "correct horse" not in stored
