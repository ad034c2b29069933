"""At the edges of who gets which page (the rule is in matrix.py): odd addresses, logins that ended, swapped parts."""

import pytest

from tests.web.conftest import Cast, Site


@pytest.mark.parametrize(
    "path",
    [
        "/o/nothing",
        "/p/1",
        "/p/0x1",
        "/p/-1",
        "/p/²",
        "/p/99999999999999999999",
        "/p/18446744073709551616/settings",
        "/p/{shop}/panels/nothing",
        "/nothing",
    ],
)
async def test_what_does_not_exist_exists_for_nobody(site: Site, cast: Cast, path: str) -> None:
    for account in cast[:4]:
        page = await (await site.browser_of(account)).get(path.format(shop=cast.shop.id))
        assert page.status == 404


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
