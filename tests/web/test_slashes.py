"""An address with a slash too many leads to its page, on this host only."""

import asyncio

import pytest

from tests.web.conftest import Cast, Site


@pytest.mark.parametrize(
    ("asked", "led_to"),
    [
        ("/admin/", "/admin"),
        ("/admin/system//", "/admin/system"),
        ("/admin/queues/event/?state=dead&page=2", "/admin/queues/event?state=dead&page=2"),
        ("/login/?next=/p/1%0D%0Aa", "/login?next=/p/1%0D%0Aa"),
        ("/p/1%2F2/", "/p/1%2F2"),
        ("/docs/reference/", "/docs/reference"),
    ],
)
async def test_a_slash_too_many_is_forgiven(site: Site, cast: Cast, asked: str, led_to: str) -> None:
    browser = await site.browser_of(cast.olga)
    for method in ("GET", "HEAD"):
        page = await browser.ask(method, asked)
        assert (page.status, page.location) == (308, led_to)


@pytest.mark.parametrize(
    "asked",
    ["//elsewhere.test/", "//login/", "/\\login/", "/%5Clogin/", "/nothing/", "/login/nothing/", "//", "///", "login/"],
)
async def test_nobody_is_led_elsewhere_or_to_nothing(site: Site, asked: str) -> None:
    """Sent as it is: clients would put some of these in order first."""
    reader, writer = await asyncio.open_connection(site.client.host, site.client.port)
    writer.write(f"GET {asked} HTTP/1.1\r\nHost: {site.client.host}\r\nConnection: close\r\n\r\n".encode())
    head = (await reader.read()).partition(b"\r\n\r\n")[0]
    writer.close()
    await writer.wait_closed()
    assert b"308" not in head
    assert head.split()[1] in (b"404", b"400", b"303")
    assert b"Location: " not in head or b"Location: /login\r\n" in head


async def test_a_page_of_its_own_stays_one(site: Site, cast: Cast) -> None:
    browser = await site.browser_of(cast.olga)
    assert (await browser.get("/docs/")).status == 200
    assert (await browser.get("/")).status in (200, 303)


async def test_a_form_is_not_sent_on(site: Site, cast: Cast) -> None:
    assert (await (await site.browser_of(cast.olga)).post("/admin/", {})).status == 404


class TestBelowABasePath:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"VEMETRIC_BASE_PATH": "/stats"}

    async def test_it_is_led_on_below_it(self, site: Site) -> None:
        page = await site.browser().get("/login/?a=b")
        assert (page.status, page.location) == (308, "/stats/login?a=b")
