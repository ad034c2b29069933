"""The set-up link and the first account: made once, whoever races for it."""

import asyncio

import msgspec
import pytest

from vemetric import errors
from vemetric.accounts import access, projects, signup
from vemetric.clock import FrozenClock
from vemetric.database import accounts as stored_accounts
from vemetric.database.database import Database
from vemetric.model.organization import Role

HOUR_MS = 3_600_000
FORM = signup.FirstRun(
    name="Alice",
    email="Alice@Example.com",
    password="correct horse",
    organization="Acme",
    project="Shop",
    domain="https://www.shop.example/",
    time_zone="Europe/Vienna",
)


async def test_the_form_makes_operator_organization_and_project(database: Database, clock: FrozenClock) -> None:
    token = await signup.new_setup_token(database, clock)
    assert await signup.is_setup_token(database, clock, token)
    made = await signup.set_up(database, clock, token, FORM)
    assert made.account.is_operator
    assert made.account.email == "alice@example.com"
    assert made.organization.name == "Acme"
    assert (made.project.domain, made.project.time_zone) == ("shop.example", "Europe/Vienna")
    assert len(made.project.token) == 16
    assert await access.projects_of(database, made.account) == [made.project]
    stranger = msgspec.structs.replace(made.account, is_operator=False)
    assert await access.role_in(database, stranger, made.organization.id) is Role.ADMIN
    assert await signup.has_accounts(database)


async def test_the_link_is_dead_with_the_first_account(database: Database, clock: FrozenClock) -> None:
    token = await signup.new_setup_token(database, clock)
    await signup.set_up(database, clock, token, FORM)
    assert not await signup.is_setup_token(database, clock, token)
    with pytest.raises(errors.Forbidden):
        await signup.set_up(database, clock, token, msgspec.structs.replace(FORM, email="eve@example.com"))
    with pytest.raises(errors.Conflict):
        await signup.new_setup_token(database, clock)


async def test_the_link_is_dead_with_an_account_of_the_command_line(database: Database, clock: FrozenClock) -> None:
    token = await signup.new_setup_token(database, clock)
    await signup.create_account(database, clock, "bob@example.com", "correct horse")
    with pytest.raises(errors.Forbidden):
        await signup.set_up(database, clock, token, FORM)
    assert [account.email for account in await signup.everyone(database)] == ["bob@example.com"]


async def test_a_new_link_ends_the_earlier_one(database: Database, clock: FrozenClock) -> None:
    first = await signup.new_setup_token(database, clock)
    second = await signup.new_setup_token(database, clock)
    assert not await signup.is_setup_token(database, clock, first)
    assert await signup.is_setup_token(database, clock, second)


async def test_the_link_lives_for_a_day(database: Database, clock: FrozenClock) -> None:
    token = await signup.new_setup_token(database, clock)
    clock.advance(24 * HOUR_MS - 1)
    assert await signup.is_setup_token(database, clock, token)
    clock.advance(1)
    with pytest.raises(errors.Forbidden):
        await signup.set_up(database, clock, token, FORM)


@pytest.mark.parametrize("token", ["", "x", "\ud800", "x" * 10_000])
async def test_no_other_text_is_a_token(database: Database, clock: FrozenClock, token: str) -> None:
    await signup.new_setup_token(database, clock)
    with pytest.raises(errors.Forbidden):
        await signup.set_up(database, clock, token, FORM)


async def test_of_racing_posts_one_wins(database: Database, clock: FrozenClock) -> None:
    token = await signup.new_setup_token(database, clock)
    forms = [
        msgspec.structs.replace(FORM, email=f"{number}@example.com", domain=f"{number:02}.example.com")
        for number in range(6)
    ]
    outcomes = await asyncio.gather(
        *(signup.set_up(database, clock, token, form) for form in forms), return_exceptions=True
    )
    won = [outcome for outcome in outcomes if isinstance(outcome, signup.Installation)]
    assert len(won) == 1
    assert all(isinstance(outcome, errors.Forbidden) for outcome in outcomes if outcome not in won)
    assert await signup.everyone(database) == [won[0].account]
    assert await projects.everything(database) == [won[0].project]


async def test_of_a_post_and_the_command_line_one_is_the_operator(database: Database, clock: FrozenClock) -> None:
    token = await signup.new_setup_token(database, clock)
    await asyncio.gather(
        signup.set_up(database, clock, token, FORM),
        signup.create_account(database, clock, "bob@example.com", "correct horse"),
        return_exceptions=True,
    )
    operators = [account for account in await signup.everyone(database) if account.is_operator]
    assert len(operators) == 1


async def test_a_wrong_form_makes_nothing_and_the_link_lives_on(database: Database, clock: FrozenClock) -> None:
    token = await signup.new_setup_token(database, clock)
    with pytest.raises(errors.Invalid) as raised:
        await signup.set_up(
            database, clock, token, signup.FirstRun("A", "nobody", "short", "", "S", "localhost", "Mars/Base")
        )
    assert raised.value.fields.keys() == {
        "name",
        "email",
        "password",
        "organization",
        "project",
        "domain",
        "time_zone",
    }
    assert not await signup.has_accounts(database)
    assert await signup.is_setup_token(database, clock, token)


class TestCommandLineAccounts:
    async def test_the_first_is_the_operator_and_the_next_is_not(self, database: Database, clock: FrozenClock) -> None:
        first = await signup.create_account(database, clock, "a@example.com", "correct horse", "Alice")
        second = await signup.create_account(database, clock, "bob@example.com", "correct horse")
        assert (first.name, first.is_operator) == ("Alice", True)
        assert (second.name, second.is_operator) == ("bob", False)

    async def test_an_address_is_used_once_in_any_case(self, database: Database, clock: FrozenClock) -> None:
        await signup.create_account(database, clock, "bob@example.com", "correct horse")
        with pytest.raises(errors.Conflict, match=r"bob@example\.com"):
            await signup.create_account(database, clock, "BOB@example.com", "correct horse")

    async def test_what_is_wrong_is_named(self, database: Database, clock: FrozenClock) -> None:
        with pytest.raises(errors.Invalid) as raised:
            await signup.create_account(database, clock, "bob", "short")
        assert raised.value.fields.keys() == {"email", "password"}

    async def test_a_member_joins_the_only_organization(self, database: Database, clock: FrozenClock) -> None:
        token = await signup.new_setup_token(database, clock)
        made = await signup.set_up(database, clock, token, FORM)
        bob = await signup.create_account(database, clock, "bob@example.com", "correct horse")
        ada = await signup.create_account(database, clock, "ada@example.com", "correct horse", role=Role.ADMIN)
        assert await access.role_in(database, bob, made.organization.id) is Role.MEMBER
        assert await access.role_in(database, ada, made.organization.id) is Role.ADMIN

    @pytest.mark.parametrize("project_first", [True, False])
    async def test_the_operator_sees_the_first_project_in_whatever_order(
        self, database: Database, clock: FrozenClock, project_first: bool
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
