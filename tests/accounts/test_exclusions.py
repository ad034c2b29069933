"""Lists of whose visits do not count: what may stand in them, and how many."""

import asyncio

import pytest

from vemetric import errors
from vemetric.accounts import exclusions, projects
from vemetric.clock import FrozenClock
from vemetric.database.database import Database
from vemetric.model.project import Project


@pytest.fixture
async def shop(database: Database, clock: FrozenClock) -> Project:
    return await projects.create_by_operator(database, clock, "Shop", "shop.example")


@pytest.mark.parametrize(
    ("kind", "typed", "kept"),
    [
        ("ip", " 192.0.2.1 ", "192.0.2.1"),
        ("ip", "2001:DB8:0::1", "2001:db8::1"),
        ("ip", "[::1]", "::1"),
        ("ip", "fe80::1%eth0", "fe80::1"),
        ("ip", "192.0.2.77/24", "192.0.2.0/24"),
        ("ip", "192.0.2.77/32", "192.0.2.77"),
        ("ip", "2001:db8::1/32", "2001:db8::/32"),
        ("country", "AT", "AT"),
        ("path", " /admin/* ", "/admin/*"),
        ("path", "/health/", "/health"),
        ("path", "/", "/"),
        ("path", "*", "*"),
        ("path", "/\u00fcber-uns/*", "/%C3%BCber-uns/*"),
        ("host", " WWW.Staging.example. ", "staging.example"),
        ("host", "*.preview.example", "*.preview.example"),
        ("host", "localhost", "localhost"),
    ],
)
async def test_what_is_excluded_once_and_included_again(
    database: Database, clock: FrozenClock, shop: Project, kind: str, typed: str, kept: str
) -> None:
    for _ in range(2):
        changed = await exclusions.exclude(database, clock, shop.id, kind, typed)
        assert getattr(changed, exclusions.KINDS[kind].field) == (kept,)
    assert await projects.everything(database) == [changed]
    assert await exclusions.include(database, clock, shop.id, kind, "other") == changed
    assert await exclusions.include(database, clock, shop.id, kind, kept) == shop


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        *(("ip", typed) for typed in ("", "192.0.2", "example.com", "192.0.2.0/33", "\ud800", "/24", "192.0.2.0/")),
        *(("country", typed) for typed in ("", "XX", "at")),
        *(("path", typed) for typed in ("", "admin", "/\u00fc b", "/" + "a" * 500, "/******", "/\ud800", "/\x00")),
        *(("host", typed) for typed in ("", "a..b", "a b", "https://a.example", "-a.example", "\ud800", "******")),
    ],
)
async def test_what_is_none_is_refused(
    database: Database, clock: FrozenClock, shop: Project, kind: str, typed: str
) -> None:
    with pytest.raises(errors.Invalid) as refused:
        await exclusions.exclude(database, clock, shop.id, kind, typed)
    assert list(refused.value.fields) == [kind]
    assert await projects.everything(database) == [shop]


@pytest.mark.parametrize(("kind", "first", "second"), [("ip", "::1", "::2"), ("country", "AT", "DE")])
async def test_lists_are_bounded(
    database: Database,
    clock: FrozenClock,
    shop: Project,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    first: str,
    second: str,
) -> None:
    monkeypatch.setitem(exclusions.KINDS, kind, exclusions.KINDS[kind]._replace(most=1))
    for _ in range(2):
        await exclusions.exclude(database, clock, shop.id, kind, first)
    with pytest.raises(errors.Invalid):
        await exclusions.exclude(database, clock, shop.id, kind, second)


async def test_admins_at_once_do_not_undo_each_other(database: Database, clock: FrozenClock, shop: Project) -> None:
    addresses = [f"192.0.2.{number}" for number in range(1, 9)]
    await asyncio.gather(
        *(exclusions.exclude(database, clock, shop.id, "ip", address) for address in addresses),
        exclusions.exclude(database, clock, shop.id, "country", "AT"),
    )
    (changed,) = await projects.everything(database)
    assert (changed.excluded_ips, changed.excluded_countries) == (tuple(addresses), ("AT",))
