"""Being led away, named otherwise, framed or overfed: what whole pages hold against it. Forms: test_middleware.py."""

import pytest

from tests.web.conftest import Browser, Cast, Site
from tests.web.matrix import ROWS
from vemetric.web import cookies, headers

ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "\\\\evil.example",
    "/\t/evil.example",
    "/%0d%0aLocation: https://evil.example",
    "javascript:alert(1)",
    "http:evil.example",
    " https://evil.example",
    "/é//evil.example",
    "https:evil.example",
)
EVIL = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}


def is_local(location: str) -> bool:
    return location.startswith("/") and not location.startswith(("//", "/\\", "/\t")) and "\r" not in location


def on_https(browser: Browser) -> Browser:
    """There the cookie has another name: only this host can have set it."""
    if cookies.LOGIN in browser.cookies:
        browser.cookies[cookies.named(cookies.LOGIN, True)] = browser.cookies.pop(cookies.LOGIN)
    return browser


@pytest.fixture
async def alice(site: Site, cast: Cast) -> Browser:
    return await site.browser_of(cast.alice)


@pytest.mark.parametrize("target", ELSEWHERE)
async def test_nobody_is_led_elsewhere(site: Site, cast: Cast, alice: Browser, target: str) -> None:
    """By the address of the login, by the form behind it, by the theme's form."""
    shown = await site.browser().ask("GET", "/login", params={"next": target})
    assert target == "/%0d%0aLocation: https://evil.example" or 'name="next" value="/"' in shown.text
    assert is_local((await alice.ask("GET", "/login", params={"next": target})).location)
    chosen = await alice.fill("/o/acme", {"theme": "dark", "next": target}, "/theme")
    assert chosen.status == 303
    assert is_local(chosen.location)


class TestHost:
    """Where a public address is set, whatever a request says of its host is nowhere to be found."""

    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"VEMETRIC_PUBLIC_URL": "https://stats.example.com", "VEMETRIC_TRUSTED_PROXIES": "everything"}

    async def test_is_not_believed_on_any_page(self, site: Site, cast: Cast) -> None:
        browser = on_https(await site.browser_of(cast.alice))
        for path in ("/", "/o/acme", "/o/acme/settings/members", f"/p/{cast.shop.id}/settings", "/nothing"):
            page = await browser.get(path, EVIL)
            assert page.status in (200, 303, 404)
            assert "evil.example" not in page.text + page.location

    async def test_snippets_and_invitations_name_the_public_one(self, site: Site, cast: Cast) -> None:
        browser = on_https(await site.browser_of(cast.alice))
        form = {"role": "member", "email": "new@example.com"}
        page = "/o/acme/settings/members"
        token = (await browser.get(page, EVIL)).csrf
        made = await browser.post("/o/acme/settings/invitations", {"csrf": token, **form}, EVIL)
        assert made.status == 303
        [letter] = await site.services.post.latest(5)
        assert "https://stats.example.com/invite/" in letter.body_text
        assert "evil.example" not in letter.body_text + letter.body_html
        assert "https://stats.example.com/invite/" in (await browser.get(page, EVIL)).text
        shown = await browser.get(f"/p/{cast.shop.id}/settings/installation", EVIL)
        assert "https://stats.example.com/main.js" in shown.text


async def test_no_page_may_be_framed_or_listed(site: Site, cast: Cast) -> None:
    """The public dashboards that say otherwise have a test of their own; nothing may frame any page."""
    assert "frame-ancestors 'none'" in headers.SECURITY["Content-Security-Policy"]
    assert headers.SECURITY["X-Frame-Options"] == "DENY"
    olga = await site.browser_of(cast.olga)
    for path in ("/login", "/o/acme", "/o/acme/settings", f"/p/{cast.shop.id}", f"/p/{cast.shop.id}/settings/keys"):
        page = await olga.get(path)
        assert page.headers["X-Robots-Tag"] == "noindex, nofollow"
        assert page.headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("size", [1, 1000])
async def test_boxes_that_nobody_offered_are_refused(site: Site, cast: Cast, alice: Browser, size: int) -> None:
    """Ids of projects of others, and more fields than any form has."""
    opened = await alice.get(f"/o/acme/settings/members/{cast.bob.id}")
    body = f"csrf={opened.csrf}&role=member&restricted=on" + "&project=18446744073709551615" * size
    page = await alice.ask(
        "POST",
        f"/o/acme/settings/members/{cast.bob.id}",
        {"Content-Type": "application/x-www-form-urlencoded"},
        data=body.encode(),
    )
    assert page.status == 400


def test_nothing_is_changed_by_a_link() -> None:
    """What a mail scanner or a prefetching browser opens must not do anything: test_matrix.py holds every GET to it."""
    words = ("delete", "remove", "revoke", "erase", "leave", "token", "logout")
    doing = {name for name in ROWS if any(word in name.rpartition("/")[2] for word in words)}
    for name in doing:
        assert name.startswith("POST ") or f"POST {name.partition(' ')[2]}" in ROWS or "{" in name
