"""Live pages: one look at the store for all who watch a project, streams within bounds, closed when nobody watches."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.kit import visits
from tests.web.conftest import Browser, Cast, Site
from tests.web.test_dashboard_page import alice as alice  # noqa: PLC0414 - a fixture
from tests.web.test_dashboard_page import path
from vemetric import errors
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.web import live
from vemetric.web.live import LIVE, Live
from vemetric.web.pages.install import CLOSING


class Counting:
    """A store that counts what it is asked, and may have no time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.asked = 0
        self.is_busy = False
        self.is_broken = False

    async def query(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[list[Any]]:
        self.asked += 1
        if self.is_busy:
            raise errors.StoreBusy
        if self.is_broken:
            raise ValueError("nobody thought of this")
        return await self._engine.query(sql, parameters)


@pytest.fixture
def store(engine: Engine) -> Any:
    return Counting(engine)


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - of a task that tells nobody
            await asyncio.sleep(0.01)


async def test_many_viewers_cost_one_look(store: Any, clock: FrozenClock) -> None:
    watching = Live(store, clock, look_seconds=3600)
    async with AsyncExitStack() as stack:
        watched = [
            await stack.enter_async_context(watching.watch(1, f"account {number}", f"ip {number}"))
            for number in range(20)
        ]
        await until(lambda: watched[0].changes == 1)
        assert {id(one) for one in watched} == {id(watched[0])}
        assert (watching.looks, store.asked) == (1, 1)
    assert watching.looks == 0


async def test_a_change_is_told_and_silence_is_not(site: Site, cast: Cast, store: Any, clock: FrozenClock) -> None:
    watching = Live(store, clock, look_seconds=0.01)
    async with watching.watch(cast.shop.id, "a", "ip") as watched:
        await until(lambda: watched.changes == 1 and store.asked > 3)
        assert watched.changes == 1
        await visits.event(site.services, cast.shop)
        await visits.settle(site.services)
        assert watching.moment(cast.shop.id) == watched.looked_at_ms
        await until(lambda: watched.changes == 2)
        assert (watched.pulse.events, watched.pulse.users) == (1, 1)
        store.is_busy = True
        before = store.asked
        await until(lambda: store.asked > before + 2)
        store.is_busy = False
        clock.advance(live.BUCKET_MS)
        await until(lambda: watched.changes == 3)


async def test_a_look_that_fails_is_told_logged_and_tried_again(
    site: Site, cast: Cast, store: Any, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that nobody foresaw ended the looks in silence, for as long as anybody watched."""
    watching = Live(store, clock, look_seconds=0.01)
    async with watching.watch(cast.shop.id, "a", "ip") as watched:
        await until(lambda: watched.changes == 1)
        store.is_broken = True
        await until(lambda: watched.is_blind)
        assert watched.changes == 2
        before = store.asked
        await until(lambda: store.asked > before + 2)
        assert watched.changes == 2
        assert [one.getMessage() for one in caplog.records if one.exc_info] == [
            f"A live look at project {cast.shop.id} failed; it is tried again."
        ]
        store.is_broken = False
        await until(lambda: not watched.is_blind)
        assert watched.changes == 3
        store.is_busy = True
        await until(lambda: watched.is_blind)
        assert watched.changes == 4


@pytest.mark.parametrize(
    ("most", "account", "ip"),
    [
        (live.STREAMS_PER_ACCOUNT_MAX, "a", "{}"),
        (live.STREAMS_PER_ADDRESS_MAX, "{}", "i"),
        (live.STREAMS_MAX, "{}", "{}"),
    ],
)
async def test_streams_are_bounded(store: Any, clock: FrozenClock, most: int, account: str, ip: str) -> None:
    watching = Live(store, clock, look_seconds=3600)
    async with AsyncExitStack() as stack:
        for number in range(most):
            await stack.enter_async_context(watching.watch(1, account.format(number), ip.format(number)))
        with pytest.raises(errors.TooManyRequests):
            await stack.enter_async_context(watching.watch(2, account.format(most), ip.format(most)))
    async with watching.watch(1, "a", "i"):
        assert watching.looks == 1


async def test_what_is_looked_at_together_is_counted_once(store: Any, clock: FrozenClock) -> None:
    watching, counted = Live(store, clock), 0

    async def count() -> int:
        nonlocal counted
        counted += 1
        await asyncio.sleep(0)
        return counted

    assert await asyncio.gather(*(watching.shared("key", count) for _ in range(10))) == [1] * 10
    assert await watching.shared("another", count) == 2
    clock.advance(live.SHARED_MS)
    assert await watching.shared("key", count) == 3


async def test_the_stream_says_that_nothing_can_be_seen(site: Site, alice: Browser, cast: Cast) -> None:
    application: Any = site.client.app
    async with application[LIVE].watch(cast.shop.id, "another", "ip") as watched:
        await until(lambda: watched.pulse is not None)
        watched.is_blind = True
        async with site.client.get(path(cast, "/live"), cookies=alice.cookies) as answer, asyncio.timeout(20):
            await answer.content.readuntil(b"event: blind\ndata: \n\n")


async def test_the_stream_tells_and_ends_with_the_process(site: Site, alice: Browser, cast: Cast) -> None:
    page = await alice.get(path(cast, "?t=live"))
    assert f'data-live="{path(cast)}/live"' in page.text
    application: Any = site.client.app
    async with site.client.get(path(cast, "/live"), cookies=alice.cookies) as answer, asyncio.timeout(20):
        assert answer.headers["Content-Type"] == "text/event-stream"
        await answer.content.readuntil(b"event: change\ndata: 3\n\n")
        assert application[LIVE].looks == 1
        application[CLOSING].set()
        await answer.content.read()
    assert application[LIVE].looks == 0
