"""Signing in through a service, end to end with a provider of the test: who gets which account, and who none."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from pytest_aiohttp import AiohttpServer

from tests.accounts.test_oauth import Identity
from tests.web.conftest import Browser, Cast, Page, Site
from vemetric.accounts import identities, limits, logins
from vemetric.clock import FrozenClock
from vemetric.database import accounts as stored_accounts
from vemetric.database import oauth_identities
from vemetric.model.account import Account

LEAVING = re.compile(r'href="(http://127[^"]+)" rel')
DAY_MS = 86_400_000


@pytest.fixture
async def identity(clock: FrozenClock, aiohttp_server: AiohttpServer) -> Identity:
    made = Identity(clock)
    server = await aiohttp_server(made.app())
    made.issuer = str(server.make_url("")).rstrip("/")
    return made


@pytest.fixture
def sign_up() -> str:
    return "closed"


@pytest.fixture
def environ(environ: dict[str, str], identity: Identity, sign_up: str) -> dict[str, str]:
    oidc = {"OIDC_ISSUER": identity.issuer, "OIDC_CLIENT_ID": "us", "OIDC_CLIENT_SECRET": "s", "OIDC_NAME": "Northwind"}
    return environ | oidc | {"VEMETRIC_SIGN_UP": sign_up, "VEMETRIC_PUBLIC_URL": "http://stats.example.com"}


async def go(browser: Browser, identity: Identity, page: str = "/login", action: str = "/oauth/oidc") -> Page:
    """Leave for the provider, sign in there, and come back."""
    leaving = await browser.fill(page, {"next": "/account"}, action)
    assert leaving.status == 200, leaving.text
    found = LEAVING.search(leaving.text)
    assert found is not None
    code = identity.go(found.group(1).replace("&amp;", "&"))
    return await browser.get(f"/oauth/oidc/callback?code={code}&state={identity.asked['state']}")


async def account_of(site: Site, email: str) -> Account | None:
    async with site.services.database.connect() as connection:
        return await stored_accounts.by_email(connection, email)


async def test_the_button_is_there_only_when_configured(site: Site, cast: Cast) -> None:
    shown = (await site.browser().get("/login")).text
    assert "Continue with Northwind" in shown
    assert "Google" not in shown
    assert "GitHub" not in shown


async def test_an_account_with_the_same_proved_address_is_entered_and_connected(
    site: Site, cast: Cast, identity: Identity
) -> None:
    identity.changes = {"email": "Alice@Example.com"}
    browser = site.browser()
    done = await go(browser, identity)
    assert (done.status, done.location) == (303, "/account")
    assert "alice@example.com" in (await browser.get("/account/sign-in")).text
    assert await identities.of_account(site.services.database, cast.alice.id) == ["oidc"]
    identity.changes = {"email": "elsewhere@example.com"}
    again = site.browser()
    assert (await go(again, identity)).status == 303, "the person counts from now on, not the address"
    assert "alice@example.com" in (await again.get("/account/sign-in")).text
    await again.fill("/account", {}, "/logout")
    assert "Last used" in (await again.get("/login")).text


async def test_who_comes_in_was_no_try(site: Site, cast: Cast, identity: Identity, clock: FrozenClock) -> None:
    """An office behind one address may sign in through its service in the morning; ways that lead nowhere count."""
    identity.changes = {"email": "alice@example.com"}
    for _ in range(limits.SERVICE.tries + 1):
        assert (await go(site.browser(), identity)).status == 303
    for number in range(limits.SERVICE.tries + 1):
        begun = await site.browser().fill("/login", {"next": "/"}, "/oauth/oidc")
        assert begun.status == (200 if number < limits.SERVICE.tries else 429)


async def test_a_way_that_took_long_frees_nobody_elses_try(
    site: Site, cast: Cast, identity: Identity, clock: FrozenClock
) -> None:
    identity.changes = {"email": "alice@example.com"}
    slow = site.browser()
    found = LEAVING.search((await slow.fill("/login", {"next": "/"}, "/oauth/oidc")).text)
    assert found is not None
    code, state = identity.go(found.group(1).replace("&amp;", "&")), identity.asked["state"]
    clock.advance(limits.SERVICE.window_seconds * 1000)
    for _ in range(limits.SERVICE.tries):
        assert (await site.browser().fill("/login", {"next": "/"}, "/oauth/oidc")).status == 200
    identity.asked["nonce"] = parse_qs(urlsplit(found.group(1).replace("&amp;", "&")).query)["nonce"][0]
    assert (await slow.get(f"/oauth/oidc/callback?code={code}&state={state}")).status == 303
    assert (await site.browser().fill("/login", {"next": "/"}, "/oauth/oidc")).status == 429


@pytest.mark.parametrize("by_whom", ["service", "us"])
async def test_an_address_that_is_not_proved_leads_nowhere(
    site: Site, cast: Cast, identity: Identity, by_whom: str
) -> None:
    identity.changes = {"email": "alice@example.com"}
    if by_whom == "service":
        identity.changes["email_verified"] = False
    else:
        async with site.services.database.begin() as connection:
            import msgspec

            changed = msgspec.structs.replace(cast.alice, email_verified_at_ms=None)
            await stored_accounts.update(connection, changed, 1)
    browser = site.browser()
    page = await go(browser, identity)
    assert page.status == 409
    assert "Sign in to it, then connect Northwind" in page.text
    assert (await browser.get("/account")).location.startswith("/login")


async def test_closed_means_closed(site: Site, cast: Cast, identity: Identity) -> None:
    page = await go(site.browser(), identity)
    assert page.status == 403
    assert await account_of(site, "mara@example.com") is None


class TestOpen:
    @pytest.fixture
    def sign_up(self) -> str:
        return "open"

    async def test_somebody_new_gets_an_account_without_a_password(
        self, site: Site, cast: Cast, identity: Identity
    ) -> None:
        assert (await go(site.browser(), identity)).status == 303
        account = await account_of(site, "mara@example.com")
        assert account is not None
        assert (account.name, account.is_operator) == ("Mara Lindqvist", False)
        assert account.email_verified_at_ms is not None
        typed = {"email": "mara@example.com", "password": "", "remember": "", "next": "/"}
        assert (await site.browser().fill("/login", typed)).status == 401
        async with site.services.database.begin() as connection:
            # What the settings do not name (any more) is no way in.
            await oauth_identities.create(connection, "github", "7", account.id, 1)
        page = await (await site.browser_of(account)).fill("/account/sign-in", {}, "/account/identities/oidc/remove")
        assert (page.status, "Set a password first" in page.text) == (409, True)

    async def test_not_without_a_proved_address(self, site: Site, cast: Cast, identity: Identity) -> None:
        identity.changes = {"email_verified": False}
        assert (await go(site.browser(), identity)).status == 403


class TestConnecting:
    async def test_is_told_by_letter_and_outlives_a_new_password(
        self, site: Site, cast: Cast, identity: Identity, clock: FrozenClock
    ) -> None:
        """A service is no part of the password: it stays connected, and both letters and the page say so."""
        services = site.services
        await logins.reset_password(services.database, services.clock, "bob@example.com", "correct horse")
        browser, settings = await site.browser_of(cast.bob), "/account/sign-in"
        await go(browser, identity, settings, "/account/identities/oidc")
        form = {"current_password": "correct horse", "new_password": "another horse"}
        clock.advance(1)
        assert "connected services stay connected" in (await browser.get(settings)).text
        assert (await browser.fill(settings, form, "/account/password")).status == 303
        assert await identities.of_account(services.database, cast.bob.id) == ["oidc"]
        changed, connected = await services.post.latest(2)
        assert (changed.kind, connected.kind) == ("password-changed", "service-connected")
        assert connected.address == changed.address == "bob@example.com"
        assert "Northwind" in connected.subject
        assert "Signing in with Northwind works as before" in changed.body_text
        assert f"{services.post.url}{settings}" in changed.body_text

    async def test_whatever_address_it_has_there(
        self, site: Site, cast: Cast, identity: Identity, clock: FrozenClock
    ) -> None:
        services = site.services
        await logins.reset_password(services.database, services.clock, "bob@example.com", "correct horse")
        browser, settings = await site.browser_of(cast.bob), "/account/sign-in"
        done = await go(browser, identity, settings, "/account/identities/oidc")
        assert (done.status, done.location) == (303, "/account/sign-in?saved=1")
        assert await identities.of_account(services.database, cast.bob.id) == ["oidc"]
        other = await site.browser_of(cast.alice)
        taken = await go(other, identity, settings, "/account/identities/oidc")
        assert (taken.status, "connected to another account" in taken.text) == (409, True)
        assert await identities.of_account(services.database, cast.alice.id) == []
        clock.advance(DAY_MS)
        late = await browser.fill(settings, {}, "/account/identities/oidc/remove")
        assert (late.status, "less than a day old" in late.text) == (403, True)
        stale = await other.fill(settings, {}, "/account/identities/oidc")
        assert (stale.status, "less than a day old" in stale.text) == (403, True)
        fresh = await site.browser_of(cast.bob)
        assert (await fresh.fill(settings, {}, "/account/identities/oidc/remove")).status == 303
        assert await identities.of_account(services.database, cast.bob.id) == []

    async def test_nobody_is_led_into_somebody_elses_account(self, site: Site, cast: Cast, identity: Identity) -> None:
        """A callback that another browser began is refused, signed in or not."""
        attacker, victim = site.browser(), await site.browser_of(cast.bob)
        leaving = await attacker.fill("/login", {"next": "/"}, "/oauth/oidc")
        found = LEAVING.search(leaving.text)
        assert found is not None
        code = identity.go(found.group(1).replace("&amp;", "&"))
        page = await victim.get(f"/oauth/oidc/callback?code={code}&state={identity.asked['state']}")
        assert page.status == 400
        assert await identities.of_account(site.services.database, cast.bob.id) == []

    async def test_begun_by_one_account_it_does_not_end_in_another(
        self, site: Site, cast: Cast, identity: Identity
    ) -> None:
        browser = await site.browser_of(cast.bob)
        leaving = await browser.fill("/account/sign-in", {}, "/account/identities/oidc")
        found = LEAVING.search(leaving.text)
        assert found is not None
        code = identity.go(found.group(1).replace("&amp;", "&"))
        browser.cookies |= (await site.browser_of(cast.alice)).cookies
        page = await browser.get(f"/oauth/oidc/callback?code={code}&state={identity.asked['state']}")
        assert page.status == 403
        assert await identities.of_account(site.services.database, cast.alice.id) == []
