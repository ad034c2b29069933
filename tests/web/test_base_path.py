"""Everything below a base path: what is taken off requests, and that no answer of any route leads out of it."""

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import jinja2
import pytest
from aiohttp import ClientSession, web

from tests.web.matrix import ROWS
from tests.web.test_matrix import Stage, stage  # noqa: F401 - a fixture
from vemetric import errors
from vemetric.services import Services
from vemetric.web import app, base_path, front, render
from vemetric.web.health import Health
from vemetric.web.hub import Hub
from vemetric.web.tracker import Tracker

BELOW = "/stats"
HERE = "http://127.0.0.1:4000"
# What has the look of an address and is none of ours.
NO_ADDRESSES = ("value", "placeholder", "content", "title", "d", "id", "aria-label", "data-path", "data-state")


class Addresses(HTMLParser):
    """Collects what a page leads to, loads or asks: every attribute that begins like a path."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and value.startswith("/") and name not in NO_ADDRESSES:
                self.found.append((tag, name, value))


def leaving(html: str, origin: str) -> list[object]:
    """The addresses of a page that are not below the base path. origin: where the page was asked for."""
    page = Addresses()
    page.feed(html)
    out: list[object] = [one for one in page.found if not one[2].startswith(f"{BELOW}/")]
    return out + re.findall(rf"{re.escape(origin)}(?!{BELOW})\S*", html)


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"VEMETRIC_TRUSTED_PROXIES": "", "VEMETRIC_BASE_PATH": BELOW}


async def test_no_page_of_any_route_leads_out_of_it(stage: Stage) -> None:  # noqa: F811 - the fixture
    seen, origin = 0, str(stage.site.client.make_url("")).removesuffix("/")
    for asker in ("nobody", "operator"):
        browser, csrf = await stage.browser(asker)
        for name, row in ROWS.items():
            method, _, path = name.partition(" ")
            if row.is_stream:
                continue
            form = {"csrf": csrf, **row.form} if method == "POST" else None
            page = await browser.ask(method, stage.path(path, row), data=form)
            assert leaving(page.text, origin) == [], name
            seen += "<html" in page.text
            for header in base_path.LEADING:
                assert page.headers.get(header, BELOW).startswith((BELOW, "https://")), name
            policy = page.headers.get("Content-Security-Policy", "")
            assert "report-uri" not in policy or policy.endswith(f"report-uri {BELOW}/csp-report"), name
            if asker == "operator" and path.startswith("/logout"):
                browser, csrf = await stage.browser(asker)
    assert seen > 100, "these were hardly pages"


def test_what_leads_out_is_found() -> None:
    assert leaving('<a href="/login">', HERE) == [("a", "href", "/login")]
    assert leaving('<p data-new="/p/1">', HERE) == [("p", "data-new", "/p/1")]
    assert leaving(f"<code>{HERE}/main.js </code>", HERE) == [f"{HERE}/main.js"]
    assert leaving('<a href="/stats/login"><a href="?t=live"><a href="https://example.com/a">', HERE) == []


def test_no_address_of_a_template_begins_with_a_condition() -> None:
    """Only what is written or filled in there is completed."""
    begun = re.compile(rf'\s({"|".join(base_path.ATTRIBUTES)})="\{{%')
    for template in sorted(render.TEMPLATES.rglob("*.html")):
        assert begun.findall(template.read_text()) == [], template


def test_a_template_names_addresses_below_it() -> None:
    environment = jinja2.Environment(extensions=[base_path.Links], autoescape=True)
    environment.globals[base_path.FUNCTION] = lambda address: base_path.before(BELOW, address)
    template = environment.from_string(
        '<a href="/login"><a href="/p/{{ one }}"><a href="{{ path }}/x"><a href="{{ path if one else "/" }}">'
        '<a href="{{ site }}"><a href="?t={{ one }}"><a href="//example.com"><p title="{{ typed }}">{{ typed }}'
    )
    assert template.render(one=1, path="/o/2", site="https://example.com/a", typed=' href="/x"') == (
        '<a href="/stats/login"><a href="/stats/p/1"><a href="/stats/o/2/x"><a href="/stats/o/2">'
        '<a href="https://example.com/a"><a href="?t=1"><a href="//example.com">'
        '<p title=" href=&#34;/x&#34;"> href=&#34;/x&#34;'
    )


@pytest.mark.parametrize(
    ("asked", "path"),
    [("/stats/login", "/login"), ("/login", "/login"), ("/stats", "/"), ("/stats/", "/"), ("/statsx", "/statsx")],
)
def test_it_is_taken_off_once(asked: str, path: str) -> None:
    assert base_path.of(BELOW, asked) == path
    assert base_path.of("", asked) == asked


def test_none_of_our_own_names_may_be_the_base_path() -> None:
    with pytest.raises(errors.Misconfigured, match="VEMETRIC_BASE_PATH is '/docs/x': Vemetric has pages of that name"):
        base_path.check("/docs/x", ["/docs", "/e"])
    base_path.check(BELOW, ["/docs", "/e"])
    base_path.check("", ["/"])


async def test_pages_hub_and_health_are_there_with_it_and_without(services_at_noon: Services) -> None:
    """A proxy may pass the path on or take it off."""
    runner = web.AppRunner(app.make_app(services_at_noon))
    await runner.setup()
    front.put_first(runner, Hub(services_at_noon, Tracker(BELOW)), Health(services_at_noon))
    base_path.receive(front.server_of(runner), BELOW)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
            for below in ("", BELOW):
                await _looks_like_the_product(client, below)
            async with client.get("/statsx/login") as answer:
                assert answer.status == 404
    finally:
        await runner.cleanup()


async def _looks_like_the_product(client: ClientSession, below: str) -> None:
    async with client.get(f"{below}/", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/stats/login")
    async with client.get(f"{below}/robots.txt?a=b%20c") as answer:
        assert "Allow: /stats/public/" in await answer.text()
    async with client.get(f"{below}/healthz/live") as answer:
        assert answer.status == 200
    async with client.get(f"{below}/main.js") as answer:
        assert 'new URL(script.src).origin + "/stats"' in await answer.text()
    async with client.post(f"{below}/e", json={}, headers={"Token": "none"}) as answer:
        assert "Vemetric-Refused" in answer.headers, "the hub did not answer"
    async with client.get(f"{below}/api/openapi.json") as answer:
        assert urlsplit((await answer.json())["servers"][0]["url"]).path == "/stats/api"
