"""Icons of events: emoji only, one per event, not too many."""

import pytest

from vemetric import errors
from vemetric.accounts import event_icons, projects
from vemetric.clock import FrozenClock
from vemetric.database.database import Database
from vemetric.model.project import Project


@pytest.fixture
async def shop(database: Database, clock: FrozenClock) -> Project:
    return await projects.create_by_operator(database, clock, "Shop", "shop.example")


@pytest.mark.parametrize("icon", ["🎉", " ❤️ ", "👩🏽‍🚀", "🇦🇹", "1️⃣", "👨‍👩‍👧‍👦"])
async def test_emoji(database: Database, shop: Project, icon: str) -> None:
    await event_icons.put(database, shop.id, "Signup", "🎈")
    await event_icons.put(database, shop.id, "Signup", icon)
    assert await event_icons.of_project(database, shop.id) == {"Signup": icon.strip()}
    await event_icons.remove(database, shop.id, "Signup")
    await event_icons.remove(database, shop.id, "Signup")
    assert await event_icons.of_project(database, shop.id) == {}


@pytest.mark.parametrize("icon", ["", "a", "<b>", "1", "🎉" * 13, "🎉x", "\ud800"])
async def test_what_is_none(database: Database, shop: Project, icon: str) -> None:
    with pytest.raises(errors.Invalid) as error:
        await event_icons.put(database, shop.id, "Signup", icon)
    assert list(error.value.fields) == ["icon"]


async def test_names_and_number_are_bounded(database: Database, shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", " ", "x" * 201):
        with pytest.raises(errors.Invalid) as error:
            await event_icons.put(database, shop.id, name, "🎉")
        assert list(error.value.fields) == ["event_name"]
    monkeypatch.setattr(event_icons, "ICONS_MAX", 1)
    await event_icons.put(database, shop.id, "One", "🎉")
    await event_icons.put(database, shop.id, "One", "🎈")
    with pytest.raises(errors.Conflict):
        await event_icons.put(database, shop.id, "Two", "🎉")
