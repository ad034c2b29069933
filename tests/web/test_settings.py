"""The settings of a project: its details, its token, and whose visits do not count."""

import pytest

from tests.web.conftest import Browser, Cast, Page, Site
from vemetric.accounts import access, exclusions, projects
from vemetric.ingest.refuse import Refusal
from vemetric.model.project import Project

DETAILS = {"name": "New shop", "domain": "new.example.com", "time_zone": "America/Lima"}


@pytest.fixture
async def alice(site: Site, cast: Cast) -> Browser:
    return await site.browser_of(cast.alice)


async def now(site: Site, cast: Cast) -> Project:
    project = await access.project_for(site.services.database, cast.olga, cast.shop.id)
    assert project is not None
    return project


def path(cast: Cast) -> str:
    return f"/p/{cast.shop.id}/settings"


async def change(browser: Browser, cast: Cast, action: str, kind: str, value: str) -> Page:
    return await browser.fill(f"{path(cast)}/exclusions", {"action": action, "kind": kind, "value": value})


async def test_details(site: Site, cast: Cast, alice: Browser) -> None:
    saved = await alice.fill(path(cast), DETAILS)
    assert (saved.status, saved.location) == (303, f"{path(cast)}?saved=1")
    shown = await alice.get(saved.location)
    assert 'role="status"' in shown.text
    project = await now(site, cast)
    assert (project.name, project.domain, project.time_zone) == tuple(DETAILS.values())
    assert project.token in shown.text


async def test_the_hub_knows_at_once(site: Site, cast: Cast, alice: Browser) -> None:
    known = await site.services.projects.by_token(cast.shop.token)
    assert known is not None
    await change(alice, cast, "exclude", "country", "AT")
    known = await site.services.projects.by_token(cast.shop.token)
    assert known is not None
    assert known.excluded_countries == ("AT",)


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"name": "x"}, "name"), ({"domain": "nope"}, "domain"), ({"time_zone": "Mars"}, "time_zone")],
)
async def test_what_is_wrong_stands_beside_its_field(
    site: Site, cast: Cast, alice: Browser, changed: dict[str, str], field: str
) -> None:
    page = await alice.fill(path(cast), DETAILS | changed)
    assert page.status == 400
    assert f'id="{field}-error"' in page.text
    assert (await now(site, cast)).name == "Shop"


async def test_a_taken_domain(site: Site, cast: Cast, alice: Browser) -> None:
    services = site.services
    await projects.create(services.database, services.clock, cast.other.id, "Other", "taken.example.com")
    page = await alice.fill(path(cast), DETAILS | {"domain": "taken.example.com"})
    assert page.status == 400
    assert "There is a project for taken.example.com already." in page.text


async def test_exclusions_come_and_go(site: Site, cast: Cast, alice: Browser) -> None:
    for kind, value in (
        ("ip", " 203.0.113.9 "),
        ("ip", "2001:DB8::/32"),
        ("ip", "203.0.113.9"),
        ("country", "AT"),
        ("path", "/admin/*"),
        ("host", "staging.example.com"),
    ):
        assert (await change(alice, cast, "exclude", kind, value)).location == f"{path(cast)}/exclusions#{kind}s"
    shown = await alice.get(f"{path(cast)}/exclusions")
    wanted = ("203.0.113.9", "2001:db8::/32", "Austria", "/admin/*", "staging.example.com")
    assert [text for text in wanted if text not in shown.text] == []
    for kind, value in (("ip", "203.0.113.9"), ("country", "AT"), ("ip", "198.51.100.1"), ("path", "/admin/*")):
        assert (await change(alice, cast, "include", kind, value)).status == 303
    project = await now(site, cast)
    assert (project.excluded_ips, project.excluded_countries) == (("2001:db8::/32",), ())
    assert (project.excluded_paths, project.excluded_hosts) == ((), ("staging.example.com",))


@pytest.mark.parametrize(
    ("kind", "value"), [("ip", "nothing"), ("ip", ""), ("country", "ZZ"), ("path", "nothing"), ("host", "a b")]
)
async def test_wrong_exclusions(site: Site, cast: Cast, alice: Browser, kind: str, value: str) -> None:
    page = await change(alice, cast, "exclude", kind, value)
    assert page.status == 400
    assert f'id="{kind}-error"' in page.text
    assert page.text.count('aria-invalid="true"') == 1


@pytest.mark.parametrize(("action", "kind"), [("drop", "ip"), ("exclude", "name"), ("include", "token"), ("", "")])
async def test_an_action_that_does_not_exist(site: Site, cast: Cast, alice: Browser, action: str, kind: str) -> None:
    assert (await change(alice, cast, action, kind, "x")).status == 400


async def test_exclusions_are_bounded(site: Site, cast: Cast, alice: Browser) -> None:
    services = site.services
    for number in range(exclusions.IPS_MAX):
        await exclusions.exclude(services.database, services.clock, cast.shop.id, "ip", f"198.51.100.{number}")
    page = await change(alice, cast, "exclude", "ip", "203.0.113.9")
    assert page.status == 400
    assert f"At most {exclusions.IPS_MAX}" in page.text


async def test_own_address_is_offered(site: Site, cast: Cast, alice: Browser) -> None:
    offered = 'name="value" value="127.0.0.1"'
    assert offered in (await alice.get(f"{path(cast)}/exclusions")).text
    await change(alice, cast, "exclude", "ip", "127.0.0.1")
    assert "Exclude it" not in (await alice.get(f"{path(cast)}/exclusions")).text


async def test_a_public_dashboard(site: Site, cast: Cast, alice: Browser) -> None:
    for form, stored in (
        ({"is_public": "on", "is_indexed": "on"}, (True, True)),
        ({"is_public": "on"}, (True, False)),
        ({}, (False, False)),
    ):
        assert (await alice.fill(path(cast), form, f"{path(cast)}/public")).status == 303
        project = await now(site, cast)
        assert (project.public_dashboard, project.public_indexed) == stored


async def test_a_new_token_is_asked_for_twice(site: Site, cast: Cast, alice: Browser) -> None:
    asked = await alice.get(f"{path(cast)}/token")
    assert "stops working at once" in asked.text
    assert (await now(site, cast)).token == cast.shop.token
    assert (await alice.fill(f"{path(cast)}/token", {})).status == 303
    token = (await now(site, cast)).token
    assert token != cast.shop.token
    assert await site.services.projects.by_token(cast.shop.token) is None
    assert token in (await alice.get(path(cast))).text


async def test_the_tap_shows_what_the_hub_saw(site: Site, cast: Cast, alice: Browser) -> None:
    site.services.tap.refused(cast.shop.id, Refusal.EXCLUDED_PATH, url="/e", detail="https://shop.example.com")
    await site.services.tap.flush()
    shown = (await alice.get(f"{path(cast)}/installation")).text
    assert "Excluded path" in shown
    assert "Take the path off the list" in shown


async def test_members_see_and_admins_change(site: Site, cast: Cast) -> None:
    bob = await site.browser_of(cast.bob)
    shown = await bob.get(path(cast))
    assert cast.shop.token in shown.text
    assert '<button class="btn btn--primary">Save' not in shown.text
    assert "New token" not in shown.text
    assert '<button class="btn">Exclude' not in (await bob.get(f"{path(cast)}/exclusions")).text
