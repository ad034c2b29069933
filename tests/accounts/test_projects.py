"""Making projects: where they go, and that a domain has one."""

import asyncio

import pytest

from vemetric import errors
from vemetric.accounts import projects
from vemetric.clock import FrozenClock
from vemetric.database import organizations as stored_organizations
from vemetric.database.database import Database
from vemetric.model.organization import Organization
from vemetric.model.project import Project


async def add_organization(database: Database, organization_id: str, name: str) -> None:
    async with database.begin() as connection:
        await stored_organizations.create(connection, Organization(organization_id, name, 1))


async def test_has_an_id_and_a_token_of_its_own(database: Database, clock: FrozenClock) -> None:
    await add_organization(database, "acme", "Acme")
    shop = await projects.create(database, clock, "acme", " Shop ", "www.shop.example", "Europe/Vienna")
    blog = await projects.create(database, clock, "acme", "Blog", "blog.example")
    assert (shop.name, shop.domain, shop.time_zone, shop.organization_id) == (
        "Shop",
        "shop.example",
        "Europe/Vienna",
        "acme",
    )
    assert shop.id != blog.id
    assert len({shop.token, blog.token}) == 2
    assert all(len(project.token) == 16 and project.token.isalnum() for project in (shop, blog))
    assert await projects.everything(database) == sorted([shop, blog], key=lambda project: str(project.id))
    assert await projects.by_domain(database, "https://SHOP.example") == shop


async def test_of_two_at_once_for_one_domain_one_wins(database: Database, clock: FrozenClock) -> None:
    outcomes = await asyncio.gather(
        *(projects.create_by_operator(database, clock, f"Shop {number}", "shop.example") for number in range(6)),
        return_exceptions=True,
    )
    won = [outcome for outcome in outcomes if isinstance(outcome, Project)]
    assert len(won) == 1
    assert all(isinstance(outcome, errors.Conflict) for outcome in outcomes if outcome not in won)
    assert await projects.everything(database) == won


async def test_an_organization_has_so_many_and_no_more(
    database: Database, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projects, "PROJECTS_MAX", 2)
    for organization in ("acme", "other"):
        await add_organization(database, organization, organization.title())
    await projects.create(database, clock, "acme", "Shop", "a.example")
    tries = (projects.create(database, clock, "acme", "Shop", f"b{number}.example") for number in range(3))
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["Conflict", "Conflict", "Project"]
    with pytest.raises(errors.Conflict, match="2 projects"):
        await projects.create_by_operator(database, clock, "Shop", "c.example", organization="acme")
    await projects.create(database, clock, "other", "Shop", "d.example")


async def test_what_is_wrong_is_named(database: Database, clock: FrozenClock) -> None:
    with pytest.raises(errors.Invalid) as raised:
        await projects.create_by_operator(database, clock, "S", "localhost", "Mars/Base")
    assert raised.value.fields.keys() == {"name", "domain", "time_zone"}
    async with database.connect() as connection:
        assert await stored_organizations.everything(connection) == []


async def test_an_organization_that_is_not_there_is_not_found(database: Database, clock: FrozenClock) -> None:
    with pytest.raises(errors.NotFound):
        await projects.create(database, clock, "acme", "Shop", "shop.example")
    with pytest.raises(errors.NotFound):
        await projects.create_by_operator(database, clock, "Shop", "shop.example", organization="acme")


async def test_a_domain_without_a_project_is_not_found(database: Database) -> None:
    with pytest.raises(errors.NotFound, match=r"shop\.example"):
        await projects.by_domain(database, "shop.example")
    with pytest.raises(errors.Invalid):
        await projects.by_domain(database, "no domain")


class TestWhichOrganization:
    async def test_the_first_one_is_made(self, database: Database, clock: FrozenClock) -> None:
        first = await projects.create_by_operator(database, clock, "Shop", "shop.example")
        second = await projects.create_by_operator(database, clock, "Blog", "blog.example")
        assert first.organization_id == second.organization_id

    @pytest.mark.parametrize("named", ["two", "Two Ltd"])
    async def test_of_several_one_must_be_named(self, database: Database, clock: FrozenClock, named: str) -> None:
        await add_organization(database, "one", "One Ltd")
        await add_organization(database, "two", "Two Ltd")
        with pytest.raises(errors.Invalid, match=r"one \(One Ltd\), two \(Two Ltd\)"):
            await projects.create_by_operator(database, clock, "Shop", "shop.example")
        project = await projects.create_by_operator(database, clock, "Shop", "shop.example", organization=named)
        assert project.organization_id == "two"
