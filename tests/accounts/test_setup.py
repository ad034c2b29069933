"""The set-up link and the first account: made once, whoever races for it."""

import asyncio

import msgspec
import pytest

from vemetric import errors
from vemetric.accounts import access, projects, setup, signup
from vemetric.clock import FrozenClock
from vemetric.database.database import Database
from vemetric.model.organization import Role

HOUR_MS = 3_600_000
FORM = setup.Form(
    name="Alice",
    email="Alice@Example.com",
    password="correct horse",
    organization="Acme",
    project="Shop",
    domain="https://www.shop.example/",
    time_zone="Europe/Vienna",
)


async def test_the_form_makes_operator_organization_and_project(database: Database, clock: FrozenClock) -> None:
    token = await setup.new_token(database, clock)
    assert await setup.is_valid(database, clock, token)
    made = await setup.complete(database, clock, token, FORM)
    assert made.account.is_operator
    assert made.account.email == "alice@example.com"
    assert made.organization.name == "Acme"
    assert (made.project.domain, made.project.time_zone) == ("shop.example", "Europe/Vienna")
    assert len(made.project.token) == 16
    assert await access.projects_of(database, made.account) == [made.project]
    stranger = msgspec.structs.replace(made.account, is_operator=False)
    assert await access.role_in(database, stranger, made.organization.id) is Role.ADMIN
    assert await setup.is_done(database)


async def test_the_link_is_dead_with_the_first_account(database: Database, clock: FrozenClock) -> None:
    token = await setup.new_token(database, clock)
    await setup.complete(database, clock, token, FORM)
    assert not await setup.is_valid(database, clock, token)
    with pytest.raises(errors.Forbidden):
        await setup.complete(database, clock, token, msgspec.structs.replace(FORM, email="eve@example.com"))
    assert await setup.new_token(database, clock) is None
    assert await setup.new_link(database, clock, "https://stats.example") is None


async def test_the_link_is_dead_with_an_account_of_the_command_line(database: Database, clock: FrozenClock) -> None:
    token = await setup.new_token(database, clock)
    await signup.create_account(database, clock, "bob@example.com", "correct horse")
    with pytest.raises(errors.Forbidden):
        await setup.complete(database, clock, token, FORM)
    assert [account.email for account in await signup.everyone(database)] == ["bob@example.com"]


async def test_the_link_leads_to_the_form(database: Database, clock: FrozenClock) -> None:
    link = await setup.new_link(database, clock, "https://stats.example")
    address, _, token = link.rpartition("/")
    assert address == "https://stats.example/setup"
    assert await setup.is_valid(database, clock, token)


async def test_a_new_link_ends_the_earlier_one(database: Database, clock: FrozenClock) -> None:
    first = await setup.new_token(database, clock)
    second = await setup.new_token(database, clock)
    assert not await setup.is_valid(database, clock, first)
    assert await setup.is_valid(database, clock, second)


async def test_the_link_lives_for_a_day(database: Database, clock: FrozenClock) -> None:
    token = await setup.new_token(database, clock)
    clock.advance(24 * HOUR_MS - 1)
    assert await setup.is_valid(database, clock, token)
    clock.advance(1)
    with pytest.raises(errors.Forbidden):
        await setup.complete(database, clock, token, FORM)


@pytest.mark.parametrize("token", ["", "x", "\ud800", "x" * 10_000])
async def test_no_other_text_is_a_token(database: Database, clock: FrozenClock, token: str) -> None:
    await setup.new_token(database, clock)
    with pytest.raises(errors.Forbidden):
        await setup.complete(database, clock, token, FORM)


async def test_of_racing_posts_one_wins(database: Database, clock: FrozenClock) -> None:
    token = await setup.new_token(database, clock)
    forms = [
        msgspec.structs.replace(FORM, email=f"{number}@example.com", domain=f"{number:02}.example.com")
        for number in range(6)
    ]
    outcomes = await asyncio.gather(
        *(setup.complete(database, clock, token, form) for form in forms), return_exceptions=True
    )
    won = [outcome for outcome in outcomes if isinstance(outcome, setup.Installation)]
    assert len(won) == 1
    assert all(isinstance(outcome, errors.Forbidden) for outcome in outcomes if outcome not in won)
    assert await signup.everyone(database) == [won[0].account]
    assert await projects.everything(database) == [won[0].project]


async def test_of_a_post_and_the_command_line_one_is_the_operator(database: Database, clock: FrozenClock) -> None:
    token = await setup.new_token(database, clock)
    await asyncio.gather(
        setup.complete(database, clock, token, FORM),
        signup.create_account(database, clock, "bob@example.com", "correct horse"),
        return_exceptions=True,
    )
    operators = [account for account in await signup.everyone(database) if account.is_operator]
    assert len(operators) == 1


async def test_a_wrong_form_makes_nothing_and_the_link_lives_on(database: Database, clock: FrozenClock) -> None:
    token = await setup.new_token(database, clock)
    with pytest.raises(errors.Invalid) as raised:
        await setup.complete(
            database, clock, token, setup.Form("A", "nobody", "short", "", "S", "localhost", "Mars/Base")
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
    assert not await setup.is_done(database)
    assert await setup.is_valid(database, clock, token)
