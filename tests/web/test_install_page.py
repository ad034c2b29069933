"""The page of a project without events: what it shows to copy, and what it says about requests."""

import json
import re
from contextlib import ExitStack
from html import unescape

from pytest_aiohttp import AiohttpClient

from tests.kit import visits
from tests.web.conftest import Cast, Page, Site
from vemetric.ingest.refuse import Refusal
from vemetric.ingest.tap import NO_PROJECT
from vemetric.web import app, live

SNIPPETS = ("html", "npm", "react", "node", "python")


def snippet(page: Page, name: str) -> str:
    """What a copy button copies."""
    found = re.search(rf'id="snippet-{name}">(.*?)</code>', page.text, re.DOTALL)
    assert found is not None, name
    return unescape(re.sub(r"<[^>]*>", "", found.group(1)))


async def test_snippets_name_this_server_and_the_token(site: Site, cast: Cast) -> None:
    alice = await site.browser_of(cast.alice)
    page = await alice.get(f"/p/{cast.shop.id}", {"Host": "stats.example.com:8080"})
    for name in SNIPPETS:
        text = snippet(page, name)
        assert "http://stats.example.com:8080" in text, name
        assert cast.shop.token in text, name
        assert "vemetric.com" not in text, name
    compile(snippet(page, "python"), "snippet", "exec")
    assert snippet(page, "html").startswith("<script defer")
    assert 'data-copy="token" aria-label="Copy the token"' in page.text


async def test_refusals_of_the_project_are_for_its_people_and_those_of_nobody_for_the_operator(
    site: Site, cast: Cast
) -> None:
    site.services.tap.refused(cast.shop.id, Refusal.EXCLUDED_IP)
    site.services.tap.refused(NO_PROJECT, Refusal.WRONG_TOKEN, detail="https://elsewhere.example.com")
    await site.services.tap.flush()
    path = f"/p/{cast.shop.id}/panels/seen"
    for account, sees_all in ((cast.alice, False), (cast.bob, False), (cast.olga, True)):
        page = await (await site.browser_of(account)).get(path)
        assert "Excluded address" in page.text
        assert ("Wrong token" in page.text) is sees_all


async def test_people_see_wrong_tokens_of_their_own_domain_and_that_somebody_tried_on_localhost(
    site: Site, cast: Cast
) -> None:
    below = [f"{name}.{cast.shop.domain}" for name in ("www", "somebodys")]
    for origin in (cast.shop.domain, *below, f"not{cast.shop.domain}", f"{cast.shop.domain}.test"):
        site.services.tap.refused(NO_PROJECT, Refusal.WRONG_TOKEN, detail=f"https://{origin}")
    site.services.tap.refused(NO_PROJECT, Refusal.LOCALHOST, url="http://localhost:3000/secret")
    await site.services.tap.flush()
    alice = await (await site.browser_of(cast.alice)).get(f"/p/{cast.shop.id}/panels/seen")
    assert f"A request from https://{cast.shop.domain} carried no token" in alice.text
    assert f"https://www.{cast.shop.domain} " in alice.text
    assert f"https://*.{cast.shop.domain} " in alice.text
    assert "somebodys" not in alice.text
    assert "https://not" not in alice.text
    assert ".test" not in alice.text
    assert "The script was loaded by localhost" in alice.text
    assert "secret" not in alice.text
    olga = await (await site.browser_of(cast.olga)).get(f"/p/{cast.shop.id}/panels/seen")
    assert "http://localhost:3000/secret" in olga.text


async def test_stream_tells_what_was_seen_and_ends_with_the_first_event(site: Site, cast: Cast) -> None:
    await visits.event(site.services, cast.shop)
    site.services.tap.accepted(cast.shop.id, "$$pageView", "https://shop.example.com/")
    await site.services.tap.flush()
    alice = await site.browser_of(cast.alice)
    await visits.settle(site.services)
    page = await alice.get(f"/p/{cast.shop.id}/waiting")
    assert page.headers["Content-Type"] == "text/event-stream"
    assert "event: ready" in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


async def test_streams_are_counted_with_those_of_live_pages(
    site: Site, cast: Cast, aiohttp_client: AiohttpClient
) -> None:
    application = app.make_app(site.services)
    client = await aiohttp_client(application)
    cookies = (await site.browser_of(cast.alice)).cookies
    with ExitStack() as stack:
        for number in range(live.STREAMS_PER_ACCOUNT_MAX):
            stack.enter_context(application[live.LIVE].stream(cast.alice.id, f"192.0.2.{number}"))
        assert (await client.get(f"/p/{cast.shop.id}/waiting", cookies=cookies)).status == 429
    assert (await client.head(f"/p/{cast.shop.id}/waiting", cookies=cookies)).status == 200


async def test_stream_ends_when_the_process_does(site: Site, cast: Cast, aiohttp_client: AiohttpClient) -> None:
    site.services.tap.refused(cast.shop.id, Refusal.BOT, detail="Googlebot")
    await site.services.tap.flush()
    application = app.make_app(site.services)
    client = await aiohttp_client(application)
    cookies = (await site.browser_of(cast.alice)).cookies
    async with client.get(f"/p/{cast.shop.id}/waiting", cookies=cookies) as response:
        event = (await response.content.readline()).decode().strip()
        data = (await response.content.readline()).decode().strip()
        await application.shutdown()
        await response.content.read()
    assert event == "event: seen"
    assert "Googlebot" in json.loads(data.removeprefix("data: "))
