"""The settings of a project: its details, its token, and whose visits do not count."""

import pytest

from tests.web.conftest import Browser, Cast, Page, Site
from vemetric.accounts import access, project_settings, projects
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


async def change(browser: Browser, cast: Cast, action: str, value: str) -> Page:
    return await browser.fill(path(cast), {"action": action, "value": value}, f"{path(cast)}/exclusions")


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
    await change(alice, cast, "exclude-country", "AT")
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
    for action, value in (
        ("exclude-ip", " 203.0.113.9 "),
        ("exclude-ip", "2001:DB8::0001"),
        ("exclude-ip", "203.0.113.9"),
        ("exclude-country", "AT"),
    ):
        assert (await change(alice, cast, action, value)).location == f"{path(cast)}#exclusions"
    shown = await alice.get(path(cast))
    assert [text for text in ("203.0.113.9", "2001:db8::1", "Austria") if text not in shown.text] == []
    project = await now(site, cast)
    assert (set(project.excluded_ips), project.excluded_countries) == ({"203.0.113.9", "2001:db8::1"}, ("AT",))
    for action, value in (("include-ip", "203.0.113.9"), ("include-country", "AT"), ("include-ip", "198.51.100.1")):
        assert (await change(alice, cast, action, value)).status == 303
    project = await now(site, cast)
    assert (project.excluded_ips, project.excluded_countries) == (("2001:db8::1",), ())


@pytest.mark.parametrize(
    ("action", "value", "field"),
    [("exclude-ip", "nothing", "ip"), ("exclude-ip", "", "ip"), ("exclude-country", "ZZ", "country")],
)
async def test_wrong_exclusions(site: Site, cast: Cast, alice: Browser, action: str, value: str, field: str) -> None:
    page = await change(alice, cast, action, value)
    assert page.status == 400
    assert f'id="{field}-error"' in page.text


async def test_an_action_that_does_not_exist(site: Site, cast: Cast, alice: Browser) -> None:
    assert (await change(alice, cast, "drop", "x")).status == 400


async def test_exclusions_are_bounded(site: Site, cast: Cast, alice: Browser) -> None:
    services = site.services
    for number in range(project_settings.EXCLUDED_IPS_MAX):
        await project_settings.exclude_ip(services.database, services.clock, cast.shop.id, f"198.51.100.{number}")
    page = await change(alice, cast, "exclude-ip", "203.0.113.9")
    assert page.status == 400
    assert f"At most {project_settings.EXCLUDED_IPS_MAX}" in page.text


async def test_own_address_is_offered(site: Site, cast: Cast, alice: Browser) -> None:
    offered = 'name="value" value="127.0.0.1"'
    assert offered in (await alice.get(path(cast))).text
    await change(alice, cast, "exclude-ip", "127.0.0.1")
    assert "Exclude it" not in (await alice.get(path(cast))).text


async def test_members_see_and_admins_change(site: Site, cast: Cast) -> None:
    bob = await site.browser_of(cast.bob)
    shown = await bob.get(path(cast))
    assert cast.shop.token in shown.text
    assert '<button class="btn btn--primary">Save' not in shown.text
    assert "Exclude" not in shown.text.partition('id="exclusions"')[2].partition("</section>")[0].replace(
        "Exclude your", ""
    )
