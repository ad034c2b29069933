"""How often somebody may try: at, below and past each limit, and that a restart forgets none."""

from collections.abc import Awaitable, Callable

import pytest

from tests.kit import mail_server
from tests.kit.mail_server import MailServer
from tests.web.conftest import Browser, Cast, Site
from vemetric import config, services
from vemetric.accounts import limits, setup
from vemetric.accounts.limits import Limit
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock

Try = Callable[[Site, Browser, int], Awaitable[int]]


async def log_in(site: Site, browser: Browser, number: int) -> int:
    typed = {"email": "alice@example.com", "password": "wrong password", "remember": "", "next": "/"}
    return (await browser.fill("/login", typed)).status


async def log_in_as_many(site: Site, browser: Browser, number: int) -> int:
    typed = {"email": f"nobody{number}@example.com", "password": "wrong password", "remember": "", "next": "/"}
    return (await browser.fill("/login", typed)).status


async def sign_up(site: Site, browser: Browser, number: int) -> int:
    typed = {"name": "Eve", "email": f"eve{number}@example.com", "password": "correct horse", "next": "/"}
    return (await browser.fill("/signup", typed)).status


async def forget(site: Site, browser: Browser, number: int) -> int:
    return (await browser.fill("/forgot", {"email": f"nobody{number}@example.com"})).status


async def type_code(site: Site, browser: Browser, number: int) -> int:
    typed = {"email": "eve@example.com", "code": "123456", "next": "/"}
    return (await browser.fill("/verify?email=eve%40example.com", typed, "/verify")).status


async def ask_again(site: Site, browser: Browser, number: int) -> int:
    typed = {"email": f"eve{number}@example.com", "next": "/"}
    return (await browser.fill("/verify?email=eve%40example.com", typed, "/verify-again")).status


async def leave_for_a_service(site: Site, browser: Browser, number: int) -> int:
    return (await browser.fill("/login", {"next": "/"}, "/oauth/github")).status


LIMITS: dict[str, tuple[Limit, Try, int]] = {
    "login on one account": (limits.LOGIN_ON_ACCOUNT, log_in, 401),
    "login on many accounts": (limits.LOGIN, log_in_as_many, 401),
    "sign-up": (limits.SIGN_UP, sign_up, 303),
    "reset": (limits.RESET, forget, 200),
    "code": (limits.CODE, type_code, 400),
    "another code": (limits.LETTERS, ask_again, 303),
    "service": (limits.SERVICE, leave_for_a_service, 200),
}


@pytest.fixture
def environ(environ: dict[str, str], mail: MailServer) -> dict[str, str]:
    service = {"GITHUB_CLIENT_ID": "us", "GITHUB_CLIENT_SECRET": "s"}
    doors = {"VEMETRIC_SIGN_UP": "open", "VEMETRIC_TRUSTED_PROXIES": "loopback"}
    return environ | mail_server.settings(mail) | service | doors


def browser_at(site: Site, ip: str) -> Browser:
    browser = site.browser()
    browser.headers = {"X-Forwarded-For": ip}
    return browser


@pytest.mark.parametrize("name", LIMITS)
async def test_at_below_and_past(site: Site, cast: Cast, clock: FrozenClock, name: str) -> None:
    limit, attempt, status = LIMITS[name]
    browser = browser_at(site, "192.0.2.1")
    statuses = [await attempt(site, browser, number) for number in range(limit.tries)]
    assert statuses == [status] * limit.tries
    clock.advance(limit.window_seconds * 1000 - 1)
    assert await attempt(site, browser, limit.tries) == 429
    assert await attempt(site, browser_at(site, "192.0.2.2"), limit.tries + 1) == status, "others may go on"
    clock.advance(1)
    assert await attempt(site, browser, limit.tries + 2) == status


async def test_set_up(site: Site, clock: FrozenClock) -> None:
    token = await setup.new_token(site.services.database, site.services.clock)

    async def attempt(ip: str = "192.0.2.1") -> int:
        return (await browser_at(site, ip).fill(f"/setup/{token}", {})).status

    assert [await attempt() for _ in range(limits.SET_UP.tries)] == [400] * limits.SET_UP.tries
    clock.advance(limits.SET_UP.window_seconds * 1000 - 1)
    assert await attempt() == 429
    assert await attempt("192.0.2.2") == 400, "others may go on"
    clock.advance(1)
    assert await attempt() == 400


async def test_an_ipv6_network_counts_as_one(site: Site, cast: Cast) -> None:
    tries = limits.LOGIN_ON_ACCOUNT.tries
    for number in range(tries):
        assert await log_in(site, browser_at(site, f"2001:db8::{number:x}"), number) == 401
    assert await log_in(site, browser_at(site, "2001:db8::ffff"), tries) == 429
    assert await log_in(site, browser_at(site, "2001:db8:0:1::1"), tries) == 401


async def test_who_is_told_to_wait_is_told_how_long(site: Site, cast: Cast) -> None:
    browser = browser_at(site, "192.0.2.1")
    for _ in range(limits.RESET.tries):
        await browser.fill("/forgot", {"email": "a@example.com"})
    page = await browser.fill("/forgot", {"email": "a@example.com"})
    assert (page.status, page.headers["Retry-After"]) == (429, "60")


async def test_an_address_gets_one_letter_in_five_minutes_whoever_asks(
    site: Site, cast: Cast, clock: FrozenClock
) -> None:
    async def jobs() -> int:
        return sum(one.ready for one in await site.services.queue.stats() if one.queue == "email")

    for number in range(3):
        await browser_at(site, f"192.0.2.{number}").fill("/forgot", {"email": "alice@example.com"})
        assert await jobs() == 1
    clock.advance(300_000)
    await browser_at(site, "192.0.2.9").fill("/forgot", {"email": "alice@example.com"})
    assert await jobs() == 2


async def test_a_restart_forgets_no_try(environ: dict[str, str], engine: Engine, clock: FrozenClock) -> None:
    settings = config.load(environ)[0]
    for start in range(2):
        async with services.open_services(settings, clock, engine) as opened:
            for limit in (
                limits.SET_UP,
                limits.SIGN_UP,
                limits.RESET,
                limits.CODE,
                limits.LOGIN,
                limits.LOGIN_ON_ACCOUNT,
            ):
                if start == 0:
                    for _ in range(limit.tries):
                        await limits.take_for(opened.keys, clock, limit, "192.0.2.1")
                with pytest.raises(limits.errors.TooManyRequests):
                    await limits.take_for(opened.keys, clock, limit, "192.0.2.1")
