"""The overview: the projects of an organization, the busiest first, each with its last 24 hours."""

import pytest

from tests.kit import visits
from tests.web.conftest import Browser, Cast, Site
from vemetric import errors
from vemetric.accounts import projects
from vemetric.database import projects as stored_projects
from vemetric.web.pages import overview


@pytest.fixture
async def alice(site: Site, cast: Cast) -> Browser:
    return await site.browser_of(cast.alice)


async def with_visits(site: Site, name: str, users: int) -> str:
    """Another project of Acme's, with so many users within the last minute; returns its id."""
    services = site.services
    project = await projects.create(services.database, services.clock, "acme", name, f"{name.lower()}.example.com")
    for number in range(users):
        await visits.event(services, project, who=visits.sender(project, ip=f"198.51.100.{number}"))
    await visits.settle(services)
    async with services.database.begin() as connection:
        await stored_projects.set_first_event_at(connection, project.id, services.clock.now_ms())
    return str(project.id)


async def test_one_project_opens_at_once(site: Site, cast: Cast, alice: Browser) -> None:
    assert (await alice.get("/")).location == f"/p/{cast.shop.id}"


async def test_several_are_listed_by_their_users(site: Site, cast: Cast, alice: Browser) -> None:
    quiet, busy = await with_visits(site, "Quiet", 1), await with_visits(site, "Busy", 3)
    assert (await alice.get("/")).location == "/o/acme"
    text = (await alice.get("/o/acme")).text
    tiles = text.partition('<ul class="grid')[2]
    order = [tiles.index(f'href="/p/{project}"') for project in (busy, quiet, cast.shop.id)]
    assert order == sorted(order)
    first = tiles.partition(f'href="/p/{busy}"')[2].partition("</a>")[0]
    assert "<b>3</b>" in first
    assert '3<span class="vh"> users</span> online' in first
    assert 'class="line-s"' in first
    waiting = tiles.partition(f'href="/p/{cast.shop.id}"')[2].partition("</a>")[0]
    assert "Waiting" in waiting
    assert "line-s" not in waiting


async def test_one_that_cannot_be_counted_spoils_nothing(
    site: Site, cast: Cast, alice: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_visits(site, "Busy", 1)

    async def fail(*_: object) -> None:
        raise errors.StoreBusy

    monkeypatch.setattr(overview.stats, "load_chart", fail)
    page = await alice.get("/o/acme")
    assert page.status == 200
    assert "No figures right now" in page.text


async def test_a_new_project(site: Site, cast: Cast, alice: Browser) -> None:
    typed = {"name": "Blog", "domain": "blog.example.com", "time_zone": "Europe/Berlin"}
    done = await alice.fill("/o/acme/projects/new", typed)
    assert done.status == 303
    assert "blog.example.com" in (await alice.get(done.location)).text
    again = await alice.fill("/o/acme/projects/new", typed)
    assert again.status == 400
    assert "There is a project for blog.example.com already." in again.text
    assert 'value="Blog"' in again.text


async def test_names_are_text(site: Site, cast: Cast, alice: Browser) -> None:
    typed = {"name": "<script>alert(1)</script>", "domain": "evil.example.com", "time_zone": "UTC"}
    done = await alice.fill("/o/acme/projects/new", typed)
    for path in ("/o/acme", done.location, f"{done.location}/settings"):
        assert "<script>alert" not in (await alice.get(path)).text
