"""What an admin changes about a project, alone and beside another admin."""

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


async def test_a_dashboard_is_published_and_listed(database: Database, clock: FrozenClock, shop: Project) -> None:
    for asked, stored in (
        ((True, True), (True, True)),
        ((True, False), (True, False)),
        ((False, True), (False, False)),
    ):
        changed = await project_settings.publish(database, clock, shop.id, *asked)
        assert (changed.public_dashboard, changed.public_indexed) == stored
        assert await projects.everything(database) == [changed]


async def test_a_token_is_replaced(database: Database, clock: FrozenClock, shop: Project) -> None:
    changed = await project_settings.rotate_token(database, clock, shop.id)
    assert len(changed.token) == len(shop.token)
    assert changed.token != shop.token
    assert await projects.everything(database) == [changed]
