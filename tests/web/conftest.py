"""The site with its people, and browsers to look at it with."""

import re
from typing import NamedTuple

import pytest
from aiohttp import DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer
from multidict import CIMultiDictProxy
from pytest_aiohttp import AiohttpClient

from vemetric.accounts import logins, projects, signup
from vemetric.database import accounts as stored_accounts
from vemetric.database import organizations as stored_organizations
from vemetric.model.account import Account
from vemetric.model.organization import Membership, Organization, Role
from vemetric.model.project import Project
from vemetric.services import Services
from vemetric.web import app, cookies
from vemetric.web.pages import dashboard

CSRF = re.compile(r'name="csrf" value="([0-9a-f]{128})"')


class Page(NamedTuple):
    """An answer, read."""

    status: int
    headers: CIMultiDictProxy[str]
    text: str

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    @property
    def csrf(self) -> str:
        found = CSRF.search(self.text)
        assert found is not None, "the page has no form"
        return found.group(1)


class Browser:
    """Keeps cookies as browsers do, whatever the scheme, and follows no redirects."""

    def __init__(self, client: "TestClient[object, object]") -> None:
        self._client = client
        self.cookies: dict[str, str] = {}
        self.headers: dict[str, str] = {}

    async def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, read: bool = True, **rest: object
    ) -> Page:
        sent = self.headers | (headers or {})
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        async with self._client.request(method, path, headers=sent, allow_redirects=False, **rest) as response:  # type: ignore[arg-type]
            for name, morsel in response.cookies.items():
                if morsel["max-age"] == "0" or not morsel.value:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
            return Page(response.status, response.headers, await response.text() if read else "")

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Page:
        return await self.ask("GET", path, headers)

    async def post(self, path: str, form: dict[str, str], headers: dict[str, str] | None = None) -> Page:
        """Send a form as it is: without a token where it has none."""
        return await self.ask("POST", path, headers, data=form)

    async def fill(self, page_path: str, form: dict[str, str], action: str = "") -> Page:
        """Open a page and send its form with what was typed."""
        opened = await self.get(page_path)
        assert opened.status == 200, opened.text
        return await self.post(action or page_path, {"csrf": opened.csrf, **form})


class Cast(NamedTuple):
    """Olga runs the machine; Alice administers Acme, Bob is a member; Charlie administers Other, a stranger to Acme."""

    olga: Account
    alice: Account
    bob: Account
    charlie: Account
    acme: Organization
    other: Organization
    shop: Project


class Site:
    """The running site. `browser()` is nobody's; `browser_of` is signed in."""

    def __init__(self, services: Services, client: "TestClient[object, object]") -> None:
        self.services = services
        self._client = client

    @property
    def client(self) -> "TestClient[object, object]":
        """For answers that are read as they come."""
        return self._client

    def browser(self) -> Browser:
        return Browser(self._client)

    async def browser_of(self, account: Account) -> Browser:
        browser = self.browser()
        token, _ = await logins.open_login(self.services.database, self.services.clock, account, logins.Browser())
        is_secure = self.services.config.public_url.startswith("https:")
        browser.cookies[cookies.named(cookies.LOGIN, is_secure)] = token
        return browser


@pytest.fixture
def environ(environ: dict[str, str]) -> dict[str, str]:
    """The pages see who connects, unless a test says that a proxy stands before them."""
    return environ | {"VEMETRIC_TRUSTED_PROXIES": ""}


@pytest.fixture
async def site(services_at_noon: Services, aiohttp_client: AiohttpClient, monkeypatch: pytest.MonkeyPatch) -> Site:
    # However slow the machine is, pages come with all their panels.
    monkeypatch.setattr(dashboard, "PATIENCE_SECONDS", None)
    server = TestServer(app.make_app(services_at_noon))
    await server.start_server(auto_decompress=False)
    client = await aiohttp_client(server, cookie_jar=DummyCookieJar())
    return Site(services_at_noon, client)


@pytest.fixture
async def cast(site: Site) -> Cast:
    services, now_ms = site.services, site.services.clock.now_ms()
    people = [signup.new_account(f"{name}@example.com", name.title(), name == "olga", 1) for name in Cast._fields[:4]]
    acme, other = Organization("acme", "Acme", 1), Organization("other", "Other", 2)
    places = ((people[1], acme, Role.ADMIN), (people[2], acme, Role.MEMBER), (people[3], other, Role.ADMIN))
    async with services.database.begin() as connection:
        for account in people:
            await stored_accounts.create(connection, account, "no hash")
        for organization in (acme, other):
            await stored_organizations.create(connection, organization)
        for account, organization, role in places:
            await stored_organizations.add_member(connection, Membership(account.id, organization.id, role), now_ms)
    database, clock = services.database, services.clock
    shop = await projects.create(database, clock, acme.id, "Shop", "shop.example.com", "Europe/Vienna")
    return Cast(*people, acme, other, shop)
