"""Organizations as people see them: made, renamed, joined, left, deleted; members, usage and features."""

import re

import pytest

from tests.kit import visits
from tests.web.conftest import Browser, Cast, Site
from vemetric.accounts import access, invitations, limits, members, organizations, projects, signup
from vemetric.database import accounts as stored_accounts
from vemetric.database import projects as stored_projects
from vemetric.model import erasure
from vemetric.model.account import Account
from vemetric.model.organization import Role

SETTINGS = "/o/acme/settings"
LINK = re.compile(r"/invite/(\w{16})<")


@pytest.fixture
async def alice(site: Site, cast: Cast) -> Browser:
    return await site.browser_of(cast.alice)


async def a_loner(site: Site) -> Account:
    """An account in no organization."""
    loner = signup.new_account("loner@example.com", "Loner", False, 1)
    async with site.services.database.begin() as connection:
        await stored_accounts.create(connection, loner, "no hash")
    return loner


async def test_the_first_steps_of_somebody_in_none(site: Site, cast: Cast) -> None:
    browser = await site.browser_of(await a_loner(site))
    first = await browser.get("/")
    assert first.location == "/organizations/new"
    assert "You are in no organization yet" in (await browser.get(first.location)).text
    wrong = await browser.fill("/organizations/new", {"name": "x"})
    assert wrong.status == 400
    assert 'id="name-error"' in wrong.text
    second = await browser.fill("/organizations/new", {"name": "Tiny"})
    assert second.location.endswith("/projects/new")
    overview = second.location.removesuffix("/projects/new")
    assert (await browser.get(overview)).location == second.location
    assert "The first one" in (await browser.get(second.location)).text
    typed = {"name": "Site", "domain": "tiny.example.com", "time_zone": "UTC"}
    assert (await browser.fill(second.location, typed)).location.startswith("/p/")


async def test_a_member_of_one_without_projects_waits(site: Site, cast: Cast) -> None:
    browser = await site.browser_of(cast.bob)
    async with site.services.database.begin() as connection:
        await stored_projects.delete(connection, cast.shop.id)
    shown = await browser.get("/o/acme")
    assert "No project yet" in shown.text
    assert 'hx-trigger="every 10s"' in shown.text


async def test_renaming(site: Site, cast: Cast, alice: Browser) -> None:
    assert (await alice.fill(SETTINGS, {"name": "Acme 2"})).location == f"{SETTINGS}?saved=1"
    assert "Acme 2" in (await alice.get("/o/acme")).text
    wrong = await alice.fill(SETTINGS, {"name": ""})
    assert (wrong.status, 'id="name-error"' in wrong.text) == (400, True)


async def test_leaving(site: Site, cast: Cast, alice: Browser) -> None:
    stays = await alice.fill("/o/acme/leave", {})
    assert stays.status == 409
    assert members.LAST_ADMIN in stays.text
    bob = await site.browser_of(cast.bob)
    assert (await bob.fill("/o/acme/leave", {})).location == "/"
    assert (await bob.get("/o/acme")).status == 404


async def test_deleting_asks_for_the_name(site: Site, cast: Cast, alice: Browser) -> None:
    asked = await alice.get("/o/acme/delete")
    assert "This cannot be undone." in asked.text
    wrong = await alice.fill("/o/acme/delete", {"typed": "Something"})
    assert (wrong.status, 'id="typed-error"' in wrong.text) == (400, True)
    assert (await alice.fill("/o/acme/delete", {"typed": " acme "})).location == "/"
    assert (await alice.get("/o/acme")).status == 404
    assert await projects.everything(site.services.database) == []
    [stats] = [one for one in await site.services.queue.stats() if one.queue == erasure.ERASE_QUEUE]
    assert stats.delayed == 1


class TestMembers:
    async def test_are_listed_with_what_they_may_see(self, site: Site, cast: Cast, alice: Browser) -> None:
        shown = (await alice.get(f"{SETTINGS}/members")).text
        wanted = ("alice@example.com", "(you)", "bob@example.com", "All projects")
        assert [text for text in wanted if text not in shown] == []
        assert f"{SETTINGS}/members/{cast.alice.id}/remove" not in shown

    async def test_are_changed(self, site: Site, cast: Cast, alice: Browser) -> None:
        page = f"{SETTINGS}/members/{cast.bob.id}"
        wrong = await alice.fill(page, {"role": "member", "restricted": "on"})
        assert (wrong.status, 'id="projects-error"' in wrong.text) == (400, True)
        wrong = await alice.fill(page, {"role": "owner"})
        assert (wrong.status, 'id="role-error"' in wrong.text) == (400, True)
        form = {"role": "member", "restricted": "on", "project": str(cast.shop.id)}
        assert (await alice.fill(page, form)).location == f"{SETTINGS}/members?saved=1"
        assert "1 of 1 project" in (await alice.get(f"{SETTINGS}/members")).text
        assert (await alice.fill(page, {"role": "admin"})).status == 303
        assert await access.role_in(site.services.database, cast.bob, "acme") is Role.ADMIN

    async def test_nobody_changes_the_own_role(self, site: Site, cast: Cast, alice: Browser) -> None:
        await members.change(site.services.database, "acme", cast.bob.id, Role.ADMIN, None)
        refused = await alice.fill(f"{SETTINGS}/members/{cast.alice.id}", {"role": "member"})
        assert refused.status == 400
        assert (await alice.fill(f"{SETTINGS}/members/{cast.alice.id}/remove", {})).status == 400
        assert await access.role_in(site.services.database, cast.alice, "acme") is Role.ADMIN

    async def test_are_removed(self, site: Site, cast: Cast, alice: Browser) -> None:
        page = f"{SETTINGS}/members/{cast.bob.id}/remove"
        assert "bob@example.com" in (await alice.get(page)).text
        assert (await alice.fill(page, {})).location == f"{SETTINGS}/members?saved=1"
        assert (await alice.get(page)).status == 404
        assert (await (await site.browser_of(cast.bob)).get("/o/acme")).status == 404

    async def test_of_others_do_not_exist(self, site: Site, cast: Cast, alice: Browser) -> None:
        for path in (f"{SETTINGS}/members/{cast.charlie.id}", f"{SETTINGS}/members/{cast.charlie.id}/remove"):
            assert (await alice.get(path)).status == 404


class TestInvitations:
    async def invite(self, browser: Browser, **form: str) -> str:
        made = await browser.fill(f"{SETTINGS}/members", {"role": "member", **form}, f"{SETTINGS}/invitations")
        assert made.location == f"{SETTINGS}/members?invited=1#invitations"
        found = LINK.search((await browser.get(f"{SETTINGS}/members")).text)
        assert found is not None
        return found.group(1)

    async def test_nobody_is_flooded_with_them(self, site: Site, cast: Cast, alice: Browser) -> None:
        for said in ("invited", "unsent"):
            form = {"role": "member", "email": "new@example.com"}
            made = await alice.fill(f"{SETTINGS}/members", form, f"{SETTINGS}/invitations")
            assert made.location == f"{SETTINGS}/members?{said}=1#invitations"
        assert "not mailed" in (await alice.get(made.location)).text
        assert len(LINK.findall((await alice.get(f"{SETTINGS}/members")).text)) == 2
        for number in range(limits.INVITATIONS.tries):
            form = {"role": "member", "email": f"new{number}@example.com"}
            await alice.fill(f"{SETTINGS}/members", form, f"{SETTINGS}/invitations")
        written = await site.services.post.latest(100)
        assert len(written) == limits.INVITATIONS.tries - 1, "the one that was not sent took a turn too"

    async def test_let_somebody_in(self, site: Site, cast: Cast, alice: Browser) -> None:
        token = await self.invite(alice, email="new@example.com")
        assert "for new@example.com" in (await alice.get(f"{SETTINGS}/members")).text
        [letter] = await site.services.post.latest(10)
        assert (letter.address, f"{site.services.post.url}/invite/{token}" in letter.body_text) == (
            "new@example.com",
            True,
        )
        nobody = await site.browser().get(f"/invite/{token}")
        assert f"/login?next=/invite/{token}" in nobody.text
        assert "alice@example.com" not in nobody.text
        loner = await site.browser_of(await a_loner(site))
        assert "Join Acme" in (await loner.get(f"/invite/{token}")).text
        assert (await loner.fill(f"/invite/{token}", {})).location == "/o/acme"
        assert (await loner.get("/o/acme")).status == 200
        assert (await loner.get(f"{SETTINGS}/members")).status == 403
        assert (await loner.get(f"/invite/{token}")).status == 404

    async def test_tell_members_that_they_are_in(self, site: Site, cast: Cast, alice: Browser) -> None:
        token = await self.invite(alice)
        refused = await alice.fill(f"/invite/{token}", {})
        assert refused.status == 409
        assert "You are a member of Acme already." in refused.text

    async def test_are_taken_back(self, site: Site, cast: Cast, alice: Browser) -> None:
        token = await self.invite(alice)
        page = await alice.fill(f"{SETTINGS}/members", {}, f"{SETTINGS}/invitations/{token}/revoke")
        assert page.status == 303
        assert (await site.browser().get(f"/invite/{token}")).status == 404
        again = await alice.fill(f"{SETTINGS}/members", {}, f"{SETTINGS}/invitations/{token}/revoke")
        assert again.status == 404

    async def test_of_others_are_not_taken_back(self, site: Site, cast: Cast, alice: Browser) -> None:
        token = await self.invite(alice)
        charlie = await site.browser_of(cast.charlie)
        page = "/o/other/settings"
        refused = await charlie.fill(f"{page}/members", {}, f"{page}/invitations/{token}/revoke")
        assert refused.status == 404
        assert (await site.browser().get(f"/invite/{token}")).status == 200

    async def test_run_out(self, site: Site, cast: Cast, alice: Browser) -> None:
        made = await invitations.create(site.services.database, site.services.clock, "acme", cast.alice, Role.MEMBER)
        site.services.clock.advance(invitations.VALID_MS)  # type: ignore[attr-defined]
        alice = await site.browser_of(cast.alice)
        assert "Expired" in (await alice.get(f"{SETTINGS}/members")).text
        assert (await site.browser().get(f"/invite/{made.token}")).status == 404

    @pytest.mark.parametrize(
        ("form", "field"),
        [
            ({"role": "king"}, "role"),
            ({"role": "member", "email": "x"}, "email"),
            ({"role": "member", "restricted": "on", "project": "1"}, "projects"),
        ],
    )
    async def test_mistakes_stand_beside_their_field(
        self, site: Site, cast: Cast, alice: Browser, form: dict[str, str], field: str
    ) -> None:
        page = await alice.fill(f"{SETTINGS}/members", form, f"{SETTINGS}/invitations")
        assert (page.status, f'id="{field}-error"' in page.text) == (400, True)


class TestUsage:
    async def test_counts_and_warns(self, site: Site, cast: Cast, alice: Browser) -> None:
        for _ in range(3):
            await visits.event(site.services, cast.shop)
        await visits.settle(site.services)
        shown = (await alice.get(f"{SETTINGS}/usage")).text
        assert "Shop: 3" in shown
        assert "Exceeded" not in shown
        assert (await alice.fill(f"{SETTINGS}/usage", {"limit": "2"})).location == f"{SETTINGS}/usage?saved=1"
        shown = (await alice.get(f"{SETTINGS}/usage")).text
        assert "Exceeded" in shown
        assert "Nothing is refused" in shown
        assert "than the limit allows" in (await alice.get("/o/acme")).text
        assert "than the limit allows" not in (await (await site.browser_of(cast.bob)).get("/o/acme")).text
        wrong = await alice.fill(f"{SETTINGS}/usage", {"limit": "-2"})
        assert (wrong.status, 'id="limit-error"' in wrong.text) == (400, True)


class TestFeatures:
    async def test_are_the_operators(self, site: Site, cast: Cast, alice: Browser) -> None:
        olga = await site.browser_of(cast.olga)
        assert (await olga.fill(f"{SETTINGS}/features", {"flags": "beta, maps"})).status == 303
        assert "beta, maps" in (await olga.get(f"{SETTINGS}/features")).text
        assert await organizations.feature_flags(site.services.database, "acme") == ["beta", "maps"]
        assert (await alice.get(f"{SETTINGS}/features")).status == 404
        assert "Features" not in (await alice.get(SETTINGS)).text
