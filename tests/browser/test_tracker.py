"""The browser client as we serve it, in a real Chromium: it talks to where it came from, or to where it was told."""

import json
from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from aiohttp.test_utils import make_mocked_request
from playwright.async_api import Browser, Page, Playwright, Route

from building.paths import ROOT
from tests.browser.conftest import chromium_path
from vemetric.web.tracker import Tracker

pytestmark = pytest.mark.browser

PAGE = "http://site.test/pricing"
CLIENT = "http://stats.site.test:8080/main.js"
CLIENT_ORIGIN = "http://stats.site.test:8080"
CLIENT_HOST = "stats.site.test:8080"
TAG = f'<script defer src="{CLIENT}" data-token="token123"></script>'
NPM_WRAPPER = ROOT / "tests" / "npm" / "node_modules" / "@vemetric" / "web" / "dist" / "index.mjs"


class Sent(NamedTuple):
    """What left the page for anywhere but the page's own files."""

    url: str
    v_host: str | None
    sdk: str | None


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    # Without the flag the page can see that it is driven, and the client stays silent then.
    arguments = ["--disable-blink-features=AutomationControlled"]
    launched = await playwright.chromium.launch(executable_path=chromium_path(), args=arguments)
    yield launched
    await launched.close()


def script() -> str:
    """The client as /main.js is answered with."""
    body = Tracker().response(make_mocked_request("GET", "/main.js")).body
    assert isinstance(body, bytes)
    return body.decode()


async def first_event(browser: Browser, html: str) -> Sent:
    """Open a page with this body and answer the page view it sends."""
    page = await browser.new_page()
    await serve(page, html)
    async with page.expect_request(lambda request: urlsplit(request.url).path.endswith("/e")) as caught:
        await page.goto(PAGE)
    request = await caught.value
    headers = await request.all_headers()
    assert json.loads(request.post_data or "{}")["url"] == PAGE
    return Sent(request.url, headers.get("v-host"), headers.get("v-sdk"))


async def serve(page: Page, html: str) -> list[str]:
    """Answer every request of a page from here; returns the list that their addresses are added to."""
    client = script()
    requested: list[str] = []
    cors = {
        "Access-Control-Allow-Origin": "http://site.test",
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Allow-Headers": "content-type, token, allow-cookies, v-host, v-sdk, v-sdk-version, v-referrer",
    }

    async def answer(route: Route) -> None:
        requested.append(route.request.url)
        if route.request.url == PAGE:
            await route.fulfill(content_type="text/html", body=f"<!doctype html><body>{html}</body>")
        elif route.request.url == CLIENT:
            await route.fulfill(content_type="text/javascript", body=client)
        elif route.request.url.endswith("/wrapper.mjs"):
            await route.fulfill(content_type="text/javascript", body=NPM_WRAPPER.read_text(encoding="utf-8"))
        else:
            await route.fulfill(headers=cors, body="")

    await page.route("**/*", answer)
    return requested


async def test_script_tag_sends_to_the_origin_it_came_from(browser: Browser) -> None:
    assert await first_event(browser, TAG) == Sent(f"{CLIENT_ORIGIN}/e", CLIENT_HOST, "script")


async def test_sends_exactly_as_if_that_origin_had_been_named(browser: Browser) -> None:
    named = TAG.replace("data-token", f'data-host="{CLIENT_ORIGIN}" data-token')
    assert await first_event(browser, TAG) == await first_event(browser, named)


async def test_data_host_wins(browser: Browser) -> None:
    other = TAG.replace("data-token", 'data-host="https://www.other.test" data-token')
    assert await first_event(browser, other) == Sent("https://www.other.test/e", "other.test", "script")


async def test_option_host_wins(browser: Browser) -> None:
    options = "<script>window.vmtrcOptions = {token: 'token123', host: '/_vm'}</script>"
    assert await first_event(browser, options + TAG) == Sent("http://site.test/_vm/e", "site.test", "script")


async def test_npm_wrapper_with_a_script_address_only(browser: Browser) -> None:
    html = f"""
        <script type="module">
          import {{ vemetric }} from "/wrapper.mjs";
          vemetric.init({{ token: "token123", scriptUrl: "{CLIENT}" }});
        </script>"""
    assert await first_event(browser, html) == Sent(f"{CLIENT_ORIGIN}/e", CLIENT_HOST, "web")


async def test_keeps_silent_where_it_cannot_tell_its_origin(browser: Browser) -> None:
    page = await browser.new_page()
    requested = await serve(
        page, f"<script>window.vmtrcOptions = {{token: 'token123'}}</script><script>{script()}</script>"
    )
    async with page.expect_console_message() as caught:
        await page.goto(PAGE, wait_until="networkidle")
    assert "set data-host" in (await caught.value).text
    assert requested == [PAGE]


async def test_leaves_no_name_on_the_page_but_its_own(browser: Browser) -> None:
    page = await browser.new_page()
    await serve(page, "<script>window.before = Object.keys(window)</script>" + TAG)
    await page.goto(PAGE, wait_until="networkidle")
    added = await page.evaluate("Object.keys(window).filter((name) => !window.before.includes(name)).sort()")
    assert added == ["before", "vmtrc", "vmtrcOptions"]
