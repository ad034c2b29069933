"""The settings of a project: its details, its token, and whose visits do not count."""

import json
import re

import pytest

from tests.kit import mail_server, visits
from tests.kit.mail_server import PUBLIC_URL, MailServer, do_errands, text_of
from tests.web.conftest import Browser, Cast, Page, Site
from vemetric.accounts import access, api_keys, deletion, exclusions, projects
from vemetric.clock import FrozenClock
from vemetric.database import identities
from vemetric.database import projects as stored_projects
from vemetric.ingest import jobs
from vemetric.ingest.refuse import Refusal
from vemetric.model import erasure
from vemetric.model.project import DEMO_DOMAIN, Project
from vemetric.web import seen

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


async def test_how_long_rows_are_kept(site: Site, cast: Cast, alice: Browser) -> None:
    wrong = await alice.fill(path(cast), {"retention_days": "3"}, f"{path(cast)}/retention")
    assert (wrong.status, 'value="3"' in wrong.text, "A whole number from 7" in wrong.text) == (400, True, True)
    assert (await now(site, cast)).retention_days is None
    saved = await alice.fill(path(cast), {"retention_days": "90"}, f"{path(cast)}/retention")
    assert (saved.status, saved.location) == (303, f"{path(cast)}?saved=1#retention")
    assert (await now(site, cast)).retention_days == 90
    assert 'value="90"' in (await alice.get(path(cast))).text


async def test_exclusions_come_and_go(site: Site, cast: Cast, alice: Browser) -> None:
    for kind, value in (
        ("ip", " 203.0.113.9 "),
        ("ip", "2001:DB8::/32"),
        ("ip", "203.0.113.9"),
        ("country", "AT"),
        ("path", "/\u00fcber/*"),
        ("host", "staging.example.com"),
    ):
        assert (await change(alice, cast, "exclude", kind, value)).location == f"{path(cast)}/exclusions#{kind}s"
    shown = await alice.get(f"{path(cast)}/exclusions")
    wanted = ("203.0.113.9", "2001:db8::/32", "Austria", "/\u00fcber/*", "staging.example.com")
    assert [text for text in wanted if text not in shown.text] == []
    for kind, value in (("ip", "203.0.113.9"), ("country", "AT"), ("ip", "198.51.100.1"), ("path", "/%C3%BCber/*")):
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


async def test_a_refused_password_leaves_the_boxes_as_they_were_ticked(site: Site, cast: Cast, alice: Browser) -> None:
    form = {"is_public": "on", "needs_link": "on", "needs_password": "on", "password": "short"}
    page = await alice.fill(path(cast), form, f"{path(cast)}/public")
    assert (page.status, 'id="password-error"' in page.text) == (400, True)
    boxes = ("is_public", "is_indexed", "needs_link", "needs_password")
    ticked = [f'name="{box}" value="on" checked' in page.text for box in boxes]
    assert ticked == [True, False, True, True]
    assert not (await now(site, cast)).public_dashboard


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


async def test_the_last_day_is_counted_by_verdict(site: Site, cast: Cast, alice: Browser, clock: FrozenClock) -> None:
    services, now_ms = site.services, clock.now_ms()
    hour = jobs.HOUR_MS
    await services.keys.add(
        {
            jobs.accepted_counter(cast.shop.id, now_ms): 1200,
            jobs.accepted_counter(cast.shop.id, now_ms - 23 * hour): 34,
            jobs.accepted_counter(cast.shop.id, now_ms - 24 * hour): 5000,
            jobs.refused_counter(cast.shop.id, Refusal.BOT, now_ms): 7,
            jobs.refused_counter(cast.shop.id, "new-reason", now_ms): 9,
            jobs.refused_counter(cast.shop.id + 1, Refusal.BUSY, now_ms): 3,
        }
    )
    found = await seen.last_day(services.keys, cast.shop, now_ms)
    assert [(one.label, one.times) for one in found] == [("Accepted", 1234), ("Refused", 9), ("Bot", 7)]
    shown = (await alice.get(f"{path(cast)}/installation")).text
    assert "1,234" in shown
    assert "Its user agent is on the list of bots." in shown


async def test_members_see_and_admins_change(site: Site, cast: Cast) -> None:
    bob = await site.browser_of(cast.bob)
    shown = await bob.get(path(cast))
    assert cast.shop.token in shown.text
    assert '<button class="btn btn--primary">Save' not in shown.text
    assert "New token" not in shown.text
    assert '<button class="btn">Exclude' not in (await bob.get(f"{path(cast)}/exclusions")).text


class TestKeys:
    async def test_a_new_key_is_shown_once_and_revoked(self, site: Site, cast: Cast, alice: Browser) -> None:
        page = f"{path(cast)}/keys"
        made = await alice.fill(page, {"name": "Reports"})
        assert made.status == 200
        found = re.search(r'id="new-key" tabindex="0">(vem_[a-z0-9]{32})<', made.text)
        assert found is not None
        services = site.services
        known = await api_keys.by_key(services.database, services.clock, found.group(1))
        assert known is not None
        shown = (await alice.get(page)).text
        assert found.group(1) not in shown
        assert f"{found.group(1)[:12]}..." in shown
        assert "last used" in shown
        asked = await alice.get(f"{page}/{known.id}/revoke")
        assert "Revoke Reports" in asked.text
        assert (await alice.fill(f"{page}/{known.id}/revoke", {})).location == f"{page}?saved=1"
        assert await api_keys.by_key(services.database, services.clock, found.group(1)) is None
        assert "Reports" not in (await alice.get(page)).text
        assert "Revoked" in (await alice.get(f"{page}?revoked=1")).text
        assert (await alice.get(f"{page}/{known.id}/revoke")).status == 404

    async def test_a_key_may_be_for_sending_alone(self, site: Site, cast: Cast, alice: Browser) -> None:
        made = await alice.fill(f"{path(cast)}/keys", {"name": "Backend", "scope": "write"})
        found = re.search(r'id="new-key" tabindex="0">(vem_[a-z0-9]{32})<', made.text)
        assert found is not None
        known = await api_keys.by_key(site.services.database, site.services.clock, found.group(1))
        assert known is not None
        assert known.scope == "write"
        assert "cannot send events" in (await alice.get(f"{path(cast)}/keys/{known.id}/revoke")).text

    async def test_a_name_is_needed(self, site: Site, cast: Cast, alice: Browser) -> None:
        wrong = await alice.fill(f"{path(cast)}/keys", {"name": ""})
        assert (wrong.status, 'id="name-error"' in wrong.text) == (400, True)


class TestIcons:
    async def test_come_and_go(self, site: Site, cast: Cast, alice: Browser) -> None:
        page = f"{path(cast)}/icons"
        assert (await alice.fill(page, {"event_name": "Signup", "icon": "🎉"})).status == 303
        assert "🎉" in (await alice.get(page)).text
        await visits.event(site.services, cast.shop, "Signup")
        await visits.settle(site.services)
        panel = await alice.get(f"/p/{cast.shop.id}/panels/events")
        assert '<span class="emoji" aria-hidden="true">🎉</span>' in panel.text
        wrong = await alice.fill(page, {"event_name": "Signup", "icon": "<b>"})
        assert (wrong.status, 'id="icon-error"' in wrong.text) == (400, True)
        assert (await alice.fill(page, {"event_name": "Signup", "icon": ""})).status == 303
        assert "🎉" not in (await alice.get(page)).text


class TestPeople:
    async def test_a_persons_data_is_handed_over_and_erased(
        self, site: Site, cast: Cast, alice: Browser, clock: FrozenClock
    ) -> None:
        services, page = site.services, f"{path(cast)}/people"
        await visits.event(services, cast.shop, "Signup", data={"plan": "pro"})
        await visits.event(services, cast.shop, "Other", who=visits.sender(cast.shop, ip="203.0.113.99"))
        await visits.settle(services)
        sql = "SELECT userId FROM event FINAL WHERE projectId = {project:UInt64} AND name = {name:String}"
        [[user]] = await services.engine.query(sql, {"project": cast.shop.id, "name": "Signup"})
        async with services.database.begin() as connection:
            await identities.insert_if_absent(connection, cast.shop.id, user, "mara", 1)
        for asked in ("mara", str(user)):
            assert f"{page}/{user}/export" in (await alice.get(f"{page}?who={asked}")).text
        missing = await alice.get(f"{page}?who=nobody")
        assert 'id="who-error"' in missing.text
        exported = await alice.get(f"{page}/{user}/export")
        rows = [json.loads(line) for line in exported.text.splitlines()]
        assert [row["table"] for row in rows] == ["identity", "event", "session", "device"]
        assert rows[0]["row"]["identifier"] == "mara"
        assert json.loads(rows[1]["row"]["customData"]) == {"plan": "pro"}
        assert "attachment" in exported.headers["Content-Disposition"]
        wrong = await alice.fill(f"{page}/{user}/erase", {"typed": "8"})
        assert (wrong.status, 'id="typed-error"' in wrong.text) == (400, True)
        assert (await alice.fill(f"{page}/{user}/erase", {"typed": str(user)})).location == f"{page}?erased=1"
        clock.advance(erasure.DELAY_MS)
        await visits.settle(services)
        assert 'id="who-error"' in (await alice.get(f"{page}?who={user}")).text
        left = await services.engine.query(sql, {"project": cast.shop.id, "name": "Other"})
        assert len(left) == 1

    async def test_numbers_that_are_none(self, site: Site, cast: Cast, alice: Browser) -> None:
        for number in ("0", "x", str(2**64), "9" * 30, "²"):
            assert (await alice.get(f"{path(cast)}/people/{number}/export")).status == 404
            assert 'id="who-error"' in (await alice.get(f"{path(cast)}/people?who={number}")).text


async def test_deleting_a_project_asks_for_its_domain(site: Site, cast: Cast, alice: Browser) -> None:
    page = f"/p/{cast.shop.id}/delete"
    wrong = await alice.fill(page, {"typed": "shop"})
    assert (wrong.status, 'id="typed-error"' in wrong.text) == (400, True)
    assert (await alice.fill(page, {"typed": " Shop.Example.com "})).location == "/o/acme"
    assert (await alice.get(page)).status == 404
    assert await site.services.projects.by_token(cast.shop.token) is None
    [stats] = [one for one in await site.services.queue.stats() if one.queue == erasure.ERASE_QUEUE]
    assert stats.delayed == 1


class TestDeletingWithMail:
    @pytest.fixture
    def environ(self, environ: dict[str, str], mail: MailServer) -> dict[str, str]:
        return environ | mail_server.settings(mail)

    async def test_is_done_by_the_link_of_a_letter_and_a_click(
        self, site: Site, cast: Cast, mail: MailServer, clock: FrozenClock
    ) -> None:
        alice, page = await site.browser_of(cast.alice), f"/p/{cast.shop.id}/delete"
        wrong = await alice.fill(page, {"typed": "shop"})
        assert (wrong.status, 'id="typed-error"' in wrong.text) == (400, True)
        for _ in range(2):
            asked = await alice.fill(page, {"typed": "shop.example.com"})
            assert asked.location == f"{page}?mailed=1"
        assert "alice@example.com is on its way" in (await alice.get(asked.location)).text
        await do_errands(site.services)
        assert len(mail.letters) == 1, "asking twice sends one"
        found = re.search(rf"{PUBLIC_URL}({page}/\S+)", text_of(await mail.letter_to("alice@example.com")))
        assert found is not None
        link = found.group(1)
        assert (await site.browser().get(link)).location == f"/login?next={link}"
        for who, status in ((cast.bob, 403), (cast.charlie, 404), (cast.olga, 404)):
            assert (await (await site.browser_of(who)).get(link)).status == status
        for forged in (f"{page}/1{link.rpartition('/')[2]}", f"{link}x", f"{page}/x", f"{page}/{'9' * 30}.x"):
            assert (await alice.get(forged)).status == 404
        assert "cannot be undone" in (await alice.get(link)).text
        assert await site.services.projects.by_token(cast.shop.token) is not None, "looking deletes nothing"
        clock.advance(deletion.LINK_HOURS * deletion.HOUR_MS - 1)
        assert (await alice.fill(link, {})).location == "/o/acme"
        assert await site.services.projects.by_token(cast.shop.token) is None
        assert (await alice.get(link)).status == 404

    async def test_the_link_ages(self, site: Site, cast: Cast, clock: FrozenClock) -> None:
        secret, until_ms = site.services.secret, clock.now_ms() + 1
        link = f"/p/{cast.shop.id}/delete/{deletion.token_of(secret, until_ms, cast.alice.id, cast.shop.id)}"
        alice = await site.browser_of(cast.alice)
        assert (await alice.get(link)).status == 200
        clock.advance(1)
        assert (await alice.get(link)).status == 404


async def test_a_demo_goes_with_one_click_and_nothing_else_does(site: Site, cast: Cast, alice: Browser) -> None:
    demo = await projects.create(site.services.database, site.services.clock, cast.acme.id, "Tea shop", DEMO_DOMAIN)
    async with site.services.database.begin() as connection:
        await stored_projects.set_first_event_at(connection, demo.id, 1)
    shown = await alice.get(f"/p/{demo.id}")
    assert "Remove the demo" in shown.text
    assert "Remove the demo" not in (await alice.get(f"/p/{cast.shop.id}")).text
    removed = await alice.fill(f"/p/{demo.id}", {}, f"/p/{demo.id}/demo/remove")
    assert (removed.status, removed.location) == (303, f"/o/{cast.acme.id}")
    assert (await alice.get(f"/p/{demo.id}")).status == 404
