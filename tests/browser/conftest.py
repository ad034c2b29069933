"""The site with its data on a port of its own, and a Chromium that tells of everything it should not have to.

One Chromium serves all tests of a process, each with windows of its own, so they all run on one event loop.
"""

import os
import re
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright

from tests.kit import mail_server, visits
from tests.kit.mail_server import MailServer
from vemetric import config
from vemetric.accounts import projects, signup
from vemetric.clickhouse.engine import Engine
from vemetric.clock import FrozenClock
from vemetric.database import projects as stored_projects
from vemetric.model.geo import Geo
from vemetric.model.project import Project
from vemetric.services import Services, open_services
from vemetric.web import app, base_path, front
from vemetric.web.health import Health
from vemetric.web.hub import Hub
from vemetric.web.pages import dashboard
from vemetric.web.tracker import Tracker

EMAIL, PASSWORD = "mara@example.com", "correct horse battery"
CSRF = re.compile(r'name="csrf" value="([0-9a-f]{128})"')
MINUTE_MS = 60_000
PATHS = ("/guides/getting-started", "/", "/reference/tracker-options", "/pricing", "/changelog", "/blog", "/docs", "/a")
REFERRERS = (None, None, "https://www.google.com/", "https://github.com/a/b", "https://lobste.rs/s/1")
PLACES = (Geo("DE", "Berlin"), Geo("AT", "Vienna"), Geo("US", ""), Geo("JP", "Tokyo"), Geo("", ""))
AGENTS = (visits.CHROME, visits.FIREFOX, visits.IPHONE)
EVENTS = ("SignupCompleted", "SnippetCopied", "DocsSearched")
VISITS = 60


class Stage(NamedTuple):
    """A site with an operator, a project that has data, and one that waits for its first event."""

    services: Services
    url: str
    project: Project
    waiting: Project

    @property
    def dashboard(self) -> str:
        return f"{self.url}/p/{self.project.id}"


class Watcher:
    """Notes what a page must not do: errors, breaches of its policy, requests to others."""

    def __init__(self, url: str) -> None:
        self._host, self._base_path = urlsplit(url).netloc, urlsplit(url).path
        self.problems: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("console", lambda message: message.type in ("error", "warning") and self.problems.append(message.text))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("request", lambda request: self._check(request.url))

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.netloc != self._host and parts.scheme not in ("data", "about", "blob"):
            self.problems.append(f"asked another host: {url}")
        elif parts.netloc == self._host and not parts.path.startswith(f"{self._base_path}/"):
            self.problems.append(f"left the base path: {url}")
        if parts.path.endswith("/csp-report"):
            self.problems.append("broke its own policy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    return environ | {"VEMETRIC_TRUSTED_PROXIES": ""}


@pytest.fixture
def screenshots(tmp_path: Path) -> Path:
    """Where pictures go."""
    folder = Path(os.environ.get("VEMETRIC_TEST_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest_asyncio.fixture(loop_scope="session")
async def services_at_noon(settings: config.Config, engine: Engine, clock: FrozenClock) -> AsyncIterator[Services]:
    async with open_services(settings, clock, engine) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def mail() -> AsyncIterator[MailServer]:
    async with mail_server.running() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="session")
async def url(services_at_noon: Services) -> AsyncIterator[str]:
    """The address of the site over empty stores, the hub before it as in the real process."""
    runner = web.AppRunner(app.make_app(services_at_noon))
    await runner.setup()
    below = services_at_noon.config.base_path
    front.put_first(runner, Hub(services_at_noon, Tracker(below)), Health(services_at_noon))
    base_path.receive(front.server_of(runner), below)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}{below}"
    await runner.cleanup()


@pytest_asyncio.fixture(loop_scope="session")
async def stage(services_at_noon: Services, clock: FrozenClock, url: str, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """The site with people and the visits of a day."""
    # However slow the machine is, pages come with all their panels; those without scripts have no other way.
    monkeypatch.setattr(dashboard, "PATIENCE_SECONDS", None)
    services = services_at_noon
    await signup.create_account(services.database, services.clock, EMAIL, PASSWORD, "Mara Lindqvist")
    project = await projects.create_by_operator(
        services.database, services.clock, "Northwind Docs", "northwind.example.com", "Europe/Vienna"
    )
    waiting = await projects.create_by_operator(services.database, services.clock, "Shop", "shop.example.com")
    await a_day_of_visits(services, clock, project)
    async with services.database.connect() as connection:
        stored = await stored_projects.by_id(connection, project.id)
    assert stored is not None
    assert stored.first_event_at_ms is not None
    return Stage(services, url, stored, waiting)


async def a_day_of_visits(services: Services, clock: FrozenClock, project: Project) -> None:
    """Visitors over the last 46 hours, more and more of them, ending now."""
    noon_ms = clock.now_ms()
    for number in range(VISITS):
        back = (VISITS - 1 - number) * 46 * 60 // VISITS
        clock.set(noon_ms - back * MINUTE_MS - 1000)
        who = visits.sender(project, f"203.0.113.{number}", AGENTS[number % len(AGENTS)])
        place = PLACES[number % len(PLACES)]
        for view in range(1 + number % 4):
            path = PATHS[min(number % 5 + view * (number % 3), len(PATHS) - 1)]
            referrer = REFERRERS[number % len(REFERRERS)] if view == 0 else None
            await visits.event(services, project, path=path, who=who, place=place, referrer=referrer)
        if number % 2:
            await visits.event(services, project, EVENTS[number % len(EVENTS)], who=who, place=place)
    clock.set(noon_ms)
    await visits.settle(services)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    async with async_playwright() as started:
        yield started


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def launched(playwright: Playwright) -> AsyncIterator[Browser]:
    browser = await playwright.chromium.launch(executable_path=chromium_path())
    yield browser
    await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def chromium(launched: Browser) -> AsyncIterator[Browser]:
    """The browser, without a window; those that the test opens are closed before its site ends."""
    yield launched
    for context in launched.contexts:
        await context.close()


def chromium_path() -> str | None:
    return os.environ.get("VEMETRIC_TEST_CHROMIUM") or shutil.which("chromium")


async def sign_in(page: Page, url: str) -> None:
    """Have the page's window signed in, without showing it anything."""
    form = await page.request.get(f"{url}/login")
    token = CSRF.search(await form.text())
    assert token
    sent = {"csrf": token[1], "email": EMAIL, "password": PASSWORD}
    answer = await page.request.post(f"{url}/login", form=sent, max_redirects=0)
    assert answer.status == 303


async def sign_in_by_form(page: Page, url: str) -> None:
    """As a person does."""
    await page.goto(f"{url}/login")
    await page.fill("#email", EMAIL)
    await page.fill("#password", PASSWORD)
    await page.click("form[action$='/login'] button")
    await page.wait_for_url(re.compile("/(o|p)/"))


@pytest_asyncio.fixture(loop_scope="session")
async def watcher(url: str) -> Watcher:
    return Watcher(url)


@pytest_asyncio.fixture(loop_scope="session")
async def context(chromium: Browser) -> AsyncIterator[BrowserContext]:
    """A browser window of a laptop in Vienna."""
    opened = await chromium.new_context(viewport={"width": 1440, "height": 900}, timezone_id="Europe/Vienna")
    yield opened
    await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext, watcher: Watcher) -> AsyncIterator[Page]:
    """A page that fails its test when anything was wrong with it."""
    opened = await context.new_page()
    watcher.watch(opened)
    yield opened
    assert watcher.problems == []


def query_of(page: Page, names: Sequence[str] = ()) -> dict[str, str]:
    """The query of the page's address, or some of it."""
    pairs = dict(part.split("=", 1) for part in urlsplit(page.url).query.split("&") if part)
    return {name: pairs[name] for name in names if name in pairs} if names else pairs
