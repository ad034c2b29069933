"""Who gets which page: nobody the login, strangers nothing that is not theirs."""

import pytest

from tests.web.conftest import Cast, Site
from vemetric.web.routes import ROUTES, Access

LOGIN = 303

# Path: the answers to nobody, Olga (operator), Alice (admin), Bob (member), Charlie (stranger).
PAGES = {
    "/": (LOGIN, 303, 303, 303, 303),
    "/o/acme": (LOGIN, 200, 200, 200, 404),
    "/o/other": (LOGIN, 200, 404, 404, 200),
    "/o/nothing": (LOGIN, 404, 404, 404, 404),
    "/o/acme/projects/new": (LOGIN, 200, 200, 403, 404),
    "/p/{shop}": (LOGIN, 200, 200, 200, 404),
    "/p/{shop}/settings": (LOGIN, 200, 200, 200, 404),
    "/p/{shop}/settings/token": (LOGIN, 200, 200, 403, 404),
    "/p/{shop}/settings/installation": (LOGIN, 200, 200, 200, 404),
    "/p/{shop}/settings/exclusions": (LOGIN, 200, 200, 200, 404),
    "/p/{shop}/panels/seen": (LOGIN, 200, 200, 200, 404),
    "/p/{shop}/panels/pages": (LOGIN, 200, 200, 200, 404),
    "/p/{shop}/panels/nothing": (LOGIN, 404, 404, 404, 404),
    "/p/1": (LOGIN, 404, 404, 404, 404),
    "/p/0x1": (LOGIN, 404, 404, 404, 404),
    "/p/99999999999999999999": (LOGIN, 404, 404, 404, 404),
    "/nothing": (404, 404, 404, 404, 404),
}
# Forms that change something, filled in well enough.
FORMS = {
    "/o/acme/projects/new": ({"name": "Blog", "domain": "blog.test", "time_zone": "UTC"}, (303, 303, 403, 404)),
    "/p/{shop}/settings": ({"name": "Shop 2", "domain": "shop2.test", "time_zone": "UTC"}, (303, 303, 403, 404)),
    "/p/{shop}/settings/exclusions": (
        {"action": "exclude", "kind": "ip", "value": "203.0.113.9"},
        (303, 303, 403, 404),
    ),
    "/p/{shop}/settings/public": ({"is_public": "on"}, (303, 303, 403, 404)),
    "/p/{shop}/settings/token": ({}, (303, 303, 403, 404)),
}


@pytest.mark.parametrize("path", PAGES)
async def test_page(site: Site, cast: Cast, path: str) -> None:
    address = path.format(shop=cast.shop.id)
    answered = [(await site.browser().get(address)).status]
    answered += [(await (await site.browser_of(account)).get(address)).status for account in cast[:4]]
    assert tuple(answered) == PAGES[path]


@pytest.mark.parametrize("path", FORMS)
async def test_form(site: Site, cast: Cast, path: str) -> None:
    address, (form, wanted) = path.format(shop=cast.shop.id), FORMS[path]
    answered = []
    for number, account in enumerate(cast[:4]):
        browser = await site.browser_of(account)
        typed = form | ({"domain": f"no{number}.{form['domain']}"} if "domain" in form else {})
        # Everybody has a page with a form: their first one.
        csrf = (await browser.get((await browser.get("/")).location)).csrf
        answered.append((await browser.post(address, typed | {"csrf": csrf})).status)
    assert tuple(answered) == wanted


def test_no_page_of_an_account_was_forgotten() -> None:
    listed = {path.replace("{shop}", "{project}").replace("acme", "{organization}") for path in PAGES | FORMS}
    open_to_accounts = {route.path for route in ROUTES if route.access is Access.ACCOUNT}
    tested_elsewhere = {"/logout", "/p/{project}/waiting"}
    assert {path.partition("/panels/")[0] for path in open_to_accounts - tested_elsewhere} <= listed


async def test_nobody_comes_back_from_the_login_to_the_page(site: Site, cast: Cast) -> None:
    page = await site.browser().get(f"/p/{cast.shop.id}?t=7days&p=entry")
    assert page.location == f"/login?next=/p/{cast.shop.id}%3Ft%3D7days%26p%3Dentry"
    assert (await site.browser().get("/")).location == "/login"


async def test_a_swapped_part_reloads_its_page_when_the_login_ended(site: Site, cast: Cast) -> None:
    page = await site.browser().get(f"/p/{cast.shop.id}/panels/pages", {"HX-Request": "true"})
    assert (page.status, page.headers["HX-Refresh"]) == (401, "true")


async def test_watching_is_for_those_who_see_the_project(site: Site, cast: Cast) -> None:
    address = f"/p/{cast.shop.id}/waiting"
    assert (await site.browser().get(address)).location.startswith("/login")
    assert (await (await site.browser_of(cast.charlie)).get(address)).status == 404


async def test_a_revoked_login_is_nobodys(site: Site, cast: Cast) -> None:
    browser = await site.browser_of(cast.alice)
    first = await browser.get("/o/acme")
    assert (await browser.post("/logout", {"csrf": first.csrf})).location == "/login"
    assert browser.cookies.keys() <= {"vemetric_forms"}
    browser.cookies["vemetric_login"] = "made-up"
    assert (await browser.get("/o/acme")).location.startswith("/login")
