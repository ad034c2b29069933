"""API keys: their form, whose they are, and when they stop to open anything."""

import re

import pytest

from vemetric import errors
from vemetric.accounts import api_keys, projects, signup
from vemetric.clock import FrozenClock
from vemetric.database import accounts as stored_accounts
from vemetric.database.database import Database
from vemetric.model.account import Account
from vemetric.model.project import Project


@pytest.fixture
async def ann(database: Database) -> Account:
    account = signup.new_account("ann@example.com", "Ann", False, 1)
    async with database.begin() as connection:
        await stored_accounts.create(connection, account, "no hash")
    return account


@pytest.fixture
async def shop(database: Database, clock: FrozenClock) -> Project:
    return await projects.create_by_operator(database, clock, "Shop", "shop.example")


async def test_a_key_opens_one_project_until_it_is_revoked(
    database: Database, clock: FrozenClock, ann: Account, shop: Project
) -> None:
    other = await projects.create_by_operator(database, clock, "Blog", "blog.example")
    text, key = await api_keys.create(database, clock, shop.id, ann, " Reports  of ours ")
    assert re.fullmatch("vem_[a-z0-9]{32}", text)
    assert re.fullmatch("key_[0-9A-Za-z]{21}", key.id)
    assert (key.name, key.prefix, key.created_by) == ("Reports of ours", f"{text[:12]}...", "Ann")
    found = await api_keys.by_key(database, clock, text)
    assert found is not None
    assert (found.project_id, found.last_used_at_ms) == (shop.id, None)
    with pytest.raises(errors.NotFound):
        await api_keys.revoke(database, clock, other.id, key.id, ann)
    await api_keys.revoke(database, clock, shop.id, key.id, ann)
    assert await api_keys.by_key(database, clock, text) is None
    with pytest.raises(errors.NotFound):
        await api_keys.revoke(database, clock, shop.id, key.id, ann)
    [listed] = await api_keys.of_project(database, shop.id)
    assert (listed.revoked_by, listed.revoked_at_ms) == ("Ann", clock.now_ms())
    assert await api_keys.of_project(database, other.id) == []


async def test_use_is_noted_once_a_minute(database: Database, clock: FrozenClock, ann: Account, shop: Project) -> None:
    text, _ = await api_keys.create(database, clock, shop.id, ann, "Reports")
    first_ms = clock.now_ms()
    for later_ms, noted_ms in ((0, first_ms), (api_keys.USE_NOTED_MS - 1, first_ms), (1, first_ms + 60_000)):
        clock.advance(later_ms)
        await api_keys.by_key(database, clock, text)
        [key] = await api_keys.of_project(database, shop.id)
        assert key.last_used_at_ms == noted_ms


@pytest.mark.parametrize("text", ["", "vem_", "vem_" + "a" * 31, "vem_" + "a" * 33, "VEM_" + "a" * 32, "x" * 36])
async def test_what_has_not_the_format_is_not_looked_up(
    database: Database, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    await database.close()
    monkeypatch.setattr(database, "connect", None)
    assert await api_keys.by_key(database, clock, text) is None


async def test_unknown_ones_open_nothing(database: Database, clock: FrozenClock) -> None:
    for text in ("vem_" + "a" * 32, "vem_" + "\ud800" * 32, "vem_" + "\n" * 32):
        assert await api_keys.by_key(database, clock, text) is None


async def test_names_and_number_are_bounded(
    database: Database, clock: FrozenClock, ann: Account, shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("", " ", "x" * 101):
        with pytest.raises(errors.Invalid):
            await api_keys.create(database, clock, shop.id, ann, name)
    monkeypatch.setattr(api_keys, "KEYS_MAX", 1)
    _, key = await api_keys.create(database, clock, shop.id, ann, "x" * 100)
    with pytest.raises(errors.Conflict):
        await api_keys.create(database, clock, shop.id, ann, "One more")
    await api_keys.revoke(database, clock, shop.id, key.id, ann)
    await api_keys.create(database, clock, shop.id, ann, "One more")
