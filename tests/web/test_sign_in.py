"""Signing in and out: who is let in, how often one may try, and where one ends up."""

import pytest

from tests.web.conftest import Page, Site
from vemetric.accounts import limits, logins, signup
from vemetric.clock import FrozenClock

EMAIL, PASSWORD = "mara@example.com", "correct horse"
DAY_MS = 86_400_000


@pytest.fixture
async def site(site: Site) -> Site:
    await signup.create_account(site.services.database, site.services.clock, EMAIL, PASSWORD)
    return site


def typed(**changed: str) -> dict[str, str]:
    return {"email": EMAIL, "password": PASSWORD, "remember": "on", "next": "/"} | changed


def attributes(page: Page, cookie: str) -> dict[str, str]:
    [header] = [one for one in page.headers.getall("Set-Cookie") if one.startswith(f"{cookie}=")]
    return {name: value for name, _, value in (part.partition("=") for part in header.split("; ")[1:])}


async def test_in_and_out(site: Site) -> None:
    browser = site.browser()
    done = await browser.fill("/login", typed())
    assert (done.status, done.location) == (303, "/")
    kept = attributes(done, "vemetric_login")
    assert kept["Max-Age"] == str(logins.LIFETIME_DAYS * DAY_MS // 1000)
    assert {"HttpOnly", "SameSite"} <= kept.keys()
    assert "Secure" not in kept
    assert (await browser.get("/login")).location == "/"
    token = browser.cookies["vemetric_login"]
    out = await browser.fill((await browser.get("/")).location or "/", {}, "/logout")
    assert out.location == "/login"
    assert "vemetric_login" not in browser.cookies
    assert await logins.by_token(site.services.database, site.services.clock, token) is None


async def test_not_remembered_ends_with_the_window(site: Site) -> None:
    done = await site.browser().fill("/login", {name: text for name, text in typed().items() if name != "remember"})
    assert not {"Max-Age", "expires"} & attributes(done, "vemetric_login").keys()


async def test_unknown_and_wrong_are_told_alike(site: Site) -> None:
    answers = []
    for changed in ({"password": "wrong password"}, {"email": "nobody@example.com"}, {"email": "no address"}):
        page = await site.browser().fill("/login", typed(**changed))
        assert page.status == 401
        assert PASSWORD not in page.text
        answers.append(page.text.partition('role="alert"')[2].partition("</div>")[0])
    assert len(set(answers)) == 1
    assert "The e-mail address or the password is wrong." in answers[0]


async def test_what_was_typed_stays_but_the_password(site: Site) -> None:
    page = await site.browser().fill("/login", typed(password="wrong password", next="/p/1", remember=""))
    assert f'value="{EMAIL}"' in page.text
    assert 'name="next" value="/p/1"' in page.text
    assert "wrong password" not in page.text
    assert "checked" not in page.text


async def test_guessing_is_stopped(site: Site) -> None:
    browser = site.browser()
    for _ in range(limits.LOGIN_ON_ACCOUNT.tries):
        assert (await browser.fill("/login", typed(password="wrong password"))).status == 401
    stopped = await browser.fill("/login", typed())
    assert stopped.status == 429
    assert "Too many attempts" in stopped.text


@pytest.mark.parametrize("target", ["//elsewhere.test", "https://elsewhere.test", "/\\elsewhere.test"])
async def test_never_leads_elsewhere(site: Site, target: str) -> None:
    browser = site.browser()
    shown = await browser.get(f"/login?next={target}")
    assert 'name="next" value="/"' in shown.text
    assert (await browser.fill("/login", typed(next=target))).location == "/"


async def test_leads_back(site: Site) -> None:
    browser = site.browser()
    shown = await browser.get("/login?next=/p/1%3Ft%3D7days%26s%3DutmTerm")
    assert 'name="next" value="/p/1?t=7days&amp;s=utmTerm"' in shown.text


async def test_says_how_a_password_is_reset(site: Site) -> None:
    assert 'href="/forgot"' in (await site.browser().get("/login")).text
    assert "vemetric account reset-password" in (await site.browser().get("/forgot")).text


async def test_use_prolongs_the_login_and_its_cookie(site: Site, clock: FrozenClock) -> None:
    browser = site.browser()
    await browser.fill("/login", typed())
    clock.advance(DAY_MS * 5)
    used = await browser.get("/")
    assert attributes(used, "vemetric_login")["Max-Age"] == str(logins.LIFETIME_DAYS * DAY_MS // 1000)
    clock.advance(DAY_MS * 5)
    assert not (await browser.get("/")).location.startswith("/login")
    clock.advance(DAY_MS * 8)
    assert (await browser.get("/")).location.startswith("/login")


async def test_signing_in_again_ends_the_login_before(site: Site) -> None:
    browser = site.browser()
    await browser.fill("/login", typed())
    before = browser.cookies["vemetric_login"]
    csrf = (await browser.get((await browser.get("/")).location)).csrf
    assert (await browser.post("/login", typed(csrf=csrf))).status == 303
    assert browser.cookies["vemetric_login"] != before
    assert await logins.by_token(site.services.database, site.services.clock, before) is None


class TestTheme:
    """A cookie, so that the first paint has it."""

    async def test_chosen(self, site: Site) -> None:
        browser = site.browser()
        assert "data-theme" not in (await browser.get("/login")).text.partition("<head>")[0]
        await browser.fill("/login", {"theme": "dark", "next": "/login"}, "/theme")
        shown = await browser.get("/login")
        assert '<html lang="en" data-theme="dark">' in shown.text
        await browser.fill("/login", {"theme": "", "next": "/login"}, "/theme")
        assert "vemetric_theme" not in browser.cookies

    async def test_nonsense_is_the_systems(self, site: Site) -> None:
        browser = site.browser()
        browser.cookies["vemetric_theme"] = '"><script>'
        assert "<script>" not in (await browser.get("/login")).text
