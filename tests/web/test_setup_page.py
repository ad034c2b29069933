"""The set-up page: opens by its link, makes everything or nothing, and ends with the first account."""

import asyncio

import pytest

from tests.web.conftest import Page, Site
from vemetric.accounts import access, projects, setup, signup
from vemetric.database import accounts as stored_accounts
from vemetric.model.account import Account
from vemetric.services import Services

TYPED = {
    "name": "Mara Lindqvist",
    "email": "Mara@Example.com",
    "password": "correct horse",
    "organization": "Northwind",
    "project": "Docs",
    "domain": "https://www.docs.example.com/start",
    "time_zone": "Europe/Vienna",
}


async def a_link(site: Site) -> str:
    token = await setup.new_token(site.services.database, site.services.clock)
    assert token is not None
    return f"{setup.PATH}/{token}"


async def accounts(services: Services) -> list[Account]:
    async with services.database.connect() as connection:
        return await stored_accounts.everyone(connection)


async def test_first_run(site: Site) -> None:
    link, browser = await a_link(site), site.browser()
    done = await browser.fill(link, TYPED)
    [account] = await accounts(site.services)
    assert (account.name, account.email, account.is_operator) == ("Mara Lindqvist", "mara@example.com", True)
    [project] = await access.projects_of(site.services.database, account)
    assert (project.name, project.domain, project.time_zone) == ("Docs", "docs.example.com", "Europe/Vienna")
    assert (done.status, done.location) == (303, f"/p/{project.id}")
    shown = await browser.get(done.location)
    assert shown.status == 200
    assert project.token in shown.text
    assert (await browser.get("/")).location == f"/p/{project.id}"


async def test_the_link_ends_with_the_first_account(site: Site) -> None:
    link, browser = await a_link(site), site.browser()
    await browser.get(link)
    await signup.create_account(site.services.database, site.services.clock, "first@example.com", "some password")
    assert (await browser.get(link)).location == "/login"
    assert (await browser.fill("/login", TYPED, link)).location == "/login"
    assert len(await accounts(site.services)) == 1


async def test_of_two_racing_forms_one_wins(site: Site) -> None:
    link = await a_link(site)
    browsers = [site.browser(), site.browser()]
    csrf = [(await browser.get(link)).csrf for browser in browsers]
    typed = [TYPED | {"email": f"{number}@example.com", "csrf": token} for number, token in enumerate(csrf)]
    answers: list[Page] = await asyncio.gather(
        *(browser.post(link, form) for browser, form in zip(browsers, typed, strict=True))
    )
    locations = sorted(answer.location for answer in answers)
    assert locations[0] == "/login"
    assert locations[1].startswith("/p/")
    assert len(await accounts(site.services)) == 1


@pytest.mark.parametrize("path", ["/setup/made-up", "/setup/" + "x" * 3000])
async def test_a_dead_link_says_how_to_get_another(site: Site, path: str) -> None:
    page = await site.browser().get(path)
    assert page.status == 403
    assert "vemetric setup-link" in page.text


async def test_an_older_link_is_dead(site: Site) -> None:
    older, newer = await a_link(site), await a_link(site)
    assert (await site.browser().get(older)).status == 403
    assert (await site.browser().get(newer)).status == 200


@pytest.mark.parametrize("path", ["/setup", "/login", "/"])
async def test_without_a_link_it_says_where_the_link_is(site: Site, path: str) -> None:
    browser = site.browser()
    page = await browser.get(path)
    if page.location:
        page = await browser.get(page.location)
    assert page.status == 200
    assert "Not set up yet" in page.text
    assert "vemetric setup-link" in page.text


@pytest.mark.parametrize(
    ("changed", "first", "wrong"),
    [
        ({"domain": "nope"}, "domain", ["domain"]),
        ({"name": "<b>", "email": "me", "password": "short"}, "email", ["email", "password"]),
        (dict.fromkeys(TYPED, ""), "name", list(TYPED)),
        ({"time_zone": "Mars/Base"}, "", ["time_zone"]),
    ],
)
async def test_what_is_wrong_stands_beside_its_field(
    site: Site, changed: dict[str, str], first: str, wrong: list[str]
) -> None:
    link, browser = await a_link(site), site.browser()
    typed = TYPED | changed
    page = await browser.fill(link, typed)
    assert page.status == 400
    assert [name for name in TYPED if f'id="{name}-error"' in page.text] == wrong
    assert [name for name in TYPED if f'aria-describedby="{name}-error' in page.text] == wrong
    focused = [name for name in TYPED if f'name="{name}"' in page.text and is_focused(page, name)]
    assert focused == ([first] if first else [])
    assert typed["password"] not in page.text or not typed["password"]
    assert "&lt;b&gt;" in page.text or typed["name"] != "<b>"
    assert not await accounts(site.services)
    # The link still works, and the corrected form goes through.
    done = await browser.post(link, TYPED | {"csrf": page.csrf})
    assert done.status == 303


def is_focused(page: Page, name: str) -> bool:
    element = page.text.partition(f'name="{name}"')[2].partition(">")[0]
    return "autofocus" in element


async def test_a_domain_the_command_line_took_already(site: Site) -> None:
    services = site.services
    await projects.create_by_operator(services.database, services.clock, "Docs", "docs.example.com")
    page = await site.browser().fill(await a_link(site), TYPED)
    assert page.status == 400
    assert "There is a project for docs.example.com already." in page.text
    assert not await accounts(services)


class TestPlainHttp:
    """The page says what will not work, and how to mend it."""

    WORDS = ("Sites on https", "Node SDK", "Cookies", "VEMETRIC_TLS_CERTIFICATE", "VEMETRIC_TRUSTED_PROXIES=loopback")

    async def test_said(self, site: Site) -> None:
        page = await site.browser().get(await a_link(site))
        assert [word for word in self.WORDS if word not in page.text] == []

    class TestBehindAProxy:
        @pytest.fixture
        def environ(self, environ: dict[str, str]) -> dict[str, str]:
            return environ | {"VEMETRIC_TRUSTED_PROXIES": "loopback"}

        async def test_not_said_and_cookies_are_pinned(self, site: Site) -> None:
            link, browser = await a_link(site), site.browser()
            browser.headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "stats.test"}
            page = await browser.get(link)
            assert "plain http" not in page.text
            done = await browser.post(link, TYPED | {"csrf": page.csrf}, {"Origin": "https://stats.test"})
            assert done.status == 303
            assert browser.cookies.keys() == {f"__Host-vemetric_{name}" for name in ("login", "forms", "method")}
            for header in done.headers.getall("Set-Cookie"):
                assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(header.split("; "))
                assert "Domain" not in header
            assert (await browser.get(done.location)).status == 200
