"""What an admin changes about a project, alone and beside another admin."""

import asyncio

import pytest

from vemetric import errors
from vemetric.accounts import project_settings, projects
from vemetric.clock import FrozenClock
from vemetric.database.database import Database
from vemetric.model.project import Project


@pytest.fixture
async def shop(database: Database, clock: FrozenClock) -> Project:
    return await projects.create_by_operator(database, clock, "Shop", "shop.example")


async def test_details_are_stored(database: Database, clock: FrozenClock, shop: Project) -> None:
    changed = await project_settings.change_details(
        database, clock, shop.id, " Store ", "https://www.store.example/", "Europe/Vienna"
    )
    assert (changed.name, changed.domain, changed.time_zone) == ("Store", "store.example", "Europe/Vienna")
    assert await projects.everything(database) == [changed]


async def test_a_project_may_keep_its_domain_but_not_take_another_ones(
    database: Database, clock: FrozenClock, shop: Project
) -> None:
    await projects.create_by_operator(database, clock, "Blog", "blog.example")
    await project_settings.change_details(database, clock, shop.id, "Store", "shop.example", "UTC")
    with pytest.raises(errors.Conflict):
        await project_settings.change_details(database, clock, shop.id, "Store", "blog.example", "UTC")


async def test_what_is_wrong_is_named(database: Database, clock: FrozenClock, shop: Project) -> None:
    with pytest.raises(errors.Invalid) as raised:
        await project_settings.change_details(database, clock, shop.id, "S", "localhost", "Mars/Base")
    assert raised.value.fields.keys() == {"name", "domain", "time_zone"}
    with pytest.raises(errors.NotFound):
        await project_settings.change_details(database, clock, 1, "Shop", "other.example", "UTC")


@pytest.mark.parametrize(
    ("typed", "kept"),
    [(" 192.0.2.1 ", "192.0.2.1"), ("2001:DB8:0::1", "2001:db8::1"), ("[::1]", "::1"), ("fe80::1%eth0", "fe80::1")],
)
async def test_an_address_is_excluded_once(
    database: Database, clock: FrozenClock, shop: Project, typed: str, kept: str
) -> None:
    for _ in range(2):
        changed = await project_settings.exclude_ip(database, clock, shop.id, typed)
        assert changed.excluded_ips == (kept,)
    assert (await project_settings.include_ip(database, clock, shop.id, kept)).excluded_ips == ()


@pytest.mark.parametrize("typed", ["", "192.0.2", "example.com", "192.0.2.0/24", "\ud800"])
async def test_what_is_no_address_is_refused(database: Database, clock: FrozenClock, shop: Project, typed: str) -> None:
    with pytest.raises(errors.Invalid):
        await project_settings.exclude_ip(database, clock, shop.id, typed)


async def test_admins_at_once_do_not_undo_each_other(database: Database, clock: FrozenClock, shop: Project) -> None:
    addresses = [f"192.0.2.{number}" for number in range(1, 9)]
    await asyncio.gather(
        *(project_settings.exclude_ip(database, clock, shop.id, address) for address in addresses),
        project_settings.exclude_country(database, clock, shop.id, "AT"),
    )
    (changed,) = await projects.everything(database)
    assert (changed.excluded_ips, changed.excluded_countries) == (tuple(addresses), ("AT",))


async def test_countries_are_known_and_few(
    database: Database, clock: FrozenClock, shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_settings, "EXCLUDED_COUNTRIES_MAX", 1)
    with pytest.raises(errors.Invalid):
        await project_settings.exclude_country(database, clock, shop.id, "XX")
    await project_settings.exclude_country(database, clock, shop.id, "AT")
    with pytest.raises(errors.Invalid):
        await project_settings.exclude_country(database, clock, shop.id, "DE")
    assert (await project_settings.include_country(database, clock, shop.id, "AT")).excluded_countries == ()
