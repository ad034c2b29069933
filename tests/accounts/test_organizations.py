"""Organizations, their members and the invitations to them; none is ever left without an admin."""

import asyncio
from typing import NamedTuple

import pytest

from vemetric import errors
from vemetric.accounts import access, invitations, members, organizations, profile, projects, signup
from vemetric.clock import FrozenClock
from vemetric.database import accounts as stored_accounts
from vemetric.database import organizations as stored
from vemetric.database import projects as stored_projects
from vemetric.database.database import Connection, Database
from vemetric.model.account import Account
from vemetric.model.organization import Organization, Role
from vemetric.model.project import Project


class People(NamedTuple):
    """Ann administers Acme, which has a shop and a blog; Bob is a stranger."""

    ann: Account
    bob: Account
    acme: Organization
    shop: Project
    blog: Project


@pytest.fixture
async def people(database: Database, clock: FrozenClock) -> People:
    ann, bob = (signup.new_account(f"{name}@example.com", name.title(), False, 1) for name in ("ann", "bob"))
    async with database.begin() as connection:
        for account in (ann, bob):
            await stored_accounts.create(connection, account, "no hash")
    acme = await organizations.create(database, clock, ann, " Acme  Corp ")
    made = [await projects.create(database, clock, acme.id, name, f"{name}.example") for name in ("Shop", "Blog")]
    return People(ann, bob, acme, *made)


async def let_in(
    database: Database, clock: FrozenClock, people: People, role: Role, only: tuple[int, ...] | None = None
) -> None:
    made = await invitations.create(database, clock, people.acme.id, people.ann, role, only)
    await invitations.accept(database, clock, made.token, people.bob)


async def seen_by(database: Database, account: Account) -> set[str]:
    return {project.name for project in await access.projects_of(database, account)}


async def test_who_makes_one_is_its_admin(database: Database, people: People) -> None:
    assert people.acme.name == "Acme Corp"
    assert await access.role_in(database, people.ann, people.acme.id) is Role.ADMIN
    assert await access.organizations_of(database, people.bob) == []
    async with database.connect() as connection:
        assert await members.only_admin_of(connection, people.ann.id) == [people.acme]


async def test_there_is_an_end_to_them(
    database: Database, clock: FrozenClock, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(organizations, "ADMINISTERED_MAX", 2)
    await organizations.create(database, clock, people.ann, "Second")
    with pytest.raises(errors.Conflict):
        await organizations.create(database, clock, people.ann, "Third")


@pytest.mark.parametrize("name", ["", "x", "x" * 101, "a\x00b"])
async def test_names(database: Database, clock: FrozenClock, people: People, name: str) -> None:
    for refused in (
        organizations.create(database, clock, people.ann, name),
        organizations.rename(database, people.acme.id, name),
    ):
        with pytest.raises(errors.Invalid) as error:
            await refused
        assert list(error.value.fields) == ["name"]


async def test_renaming_and_limiting(database: Database, people: People) -> None:
    assert (await organizations.rename(database, people.acme.id, "New")).name == "New"
    limited = await organizations.limit_events(database, people.acme.id, " 1,000,000 ")
    assert (limited.name, limited.events_per_month_max) == ("New", 1_000_000)
    assert await access.organizations_of(database, people.ann) == [limited]
    assert (await organizations.limit_events(database, people.acme.id, "")).events_per_month_max is None
    for wrong in ("0", "-1", "many", "1.5", "²", "9" * 16):
        with pytest.raises(errors.Invalid):
            await organizations.limit_events(database, people.acme.id, wrong)
    with pytest.raises(errors.NotFound):
        await organizations.rename(database, "nothing", "Name")


async def test_feature_flags(database: Database, people: People) -> None:
    assert await organizations.set_feature_flags(database, people.acme.id, " two, one,,two ") == ["one", "two"]
    assert await organizations.feature_flags(database, people.acme.id) == ["one", "two"]
    assert await organizations.set_feature_flags(database, people.acme.id, "be ta, be  ta") == ["be ta"]
    assert await organizations.set_feature_flags(database, people.acme.id, "") == []
    with pytest.raises(errors.Invalid):
        await organizations.set_feature_flags(database, people.acme.id, "x" * 101)
    with pytest.raises(errors.NotFound):
        await organizations.set_feature_flags(database, "nothing", "one")
    assert await organizations.feature_flags(database, people.acme.id) == []


class TestInvitations:
    async def test_lets_one_person_in_once(self, database: Database, clock: FrozenClock, people: People) -> None:
        made = await invitations.create(
            database, clock, people.acme.id, people.ann, Role.MEMBER, None, " Bob@Example.com "
        )
        assert (made.email, made.created_by, made.project_ids) == ("bob@example.com", "Ann", None)
        assert await invitations.of_organization(database, people.acme.id) == [made]
        assert await invitations.by_token(database, clock, made.token) == (made, people.acme)
        assert await invitations.accept(database, clock, made.token, people.bob) == people.acme
        assert await seen_by(database, people.bob) == {"Shop", "Blog"}
        assert await invitations.by_token(database, clock, made.token) is None
        with pytest.raises(errors.NotFound):
            await invitations.accept(database, clock, made.token, people.ann)

    async def test_a_member_does_not_use_it_up(self, database: Database, clock: FrozenClock, people: People) -> None:
        made = await invitations.create(database, clock, people.acme.id, people.ann, Role.MEMBER)
        with pytest.raises(errors.Conflict):
            await invitations.accept(database, clock, made.token, people.ann)
        assert await invitations.by_token(database, clock, made.token) is not None
        assert await access.role_in(database, people.ann, people.acme.id) is Role.ADMIN

    async def test_runs_out(self, database: Database, clock: FrozenClock, people: People) -> None:
        made = await invitations.create(database, clock, people.acme.id, people.ann, Role.MEMBER)
        clock.set(made.created_at_ms + invitations.VALID_MS - 1)
        assert await invitations.by_token(database, clock, made.token) is not None
        clock.set(made.created_at_ms + invitations.VALID_MS)
        assert await invitations.by_token(database, clock, made.token) is None
        with pytest.raises(errors.NotFound):
            await invitations.accept(database, clock, made.token, people.bob)
        assert await seen_by(database, people.bob) == set()

    async def test_is_taken_back_by_its_organization(
        self, database: Database, clock: FrozenClock, people: People
    ) -> None:
        made = await invitations.create(database, clock, people.acme.id, people.ann, Role.MEMBER)
        assert not await invitations.revoke(database, "other", made.token)
        assert await invitations.revoke(database, people.acme.id, made.token)
        assert not await invitations.revoke(database, people.acme.id, made.token)
        assert await invitations.by_token(database, clock, made.token) is None

    async def test_two_at_once_and_one_gets_in(self, database: Database, clock: FrozenClock, people: People) -> None:
        made = await invitations.create(database, clock, people.acme.id, people.ann, Role.MEMBER)
        carl = signup.new_account("carl@example.com", "Carl", False, 1)
        async with database.begin() as connection:
            await stored_accounts.create(connection, carl, "no hash")
        tries = (invitations.accept(database, clock, made.token, account) for account in (people.bob, carl))
        answers = await asyncio.gather(*tries, return_exceptions=True)
        assert sorted(type(answer).__name__ for answer in answers) == ["NotFound", "Organization"]

    async def test_carries_its_projects(self, database: Database, clock: FrozenClock, people: People) -> None:
        await let_in(database, clock, people, Role.MEMBER, (people.blog.id,))
        assert await seen_by(database, people.bob) == {"Blog"}
        await projects.create(database, clock, people.acme.id, "Third", "third.example")
        assert await seen_by(database, people.bob) == {"Blog"}

    async def test_whose_projects_are_gone_lets_nobody_see_the_others(
        self, database: Database, clock: FrozenClock, people: People
    ) -> None:
        made = await invitations.create(database, clock, people.acme.id, people.ann, Role.MEMBER, (people.blog.id,))
        async with database.begin() as connection:
            await stored_projects.delete(connection, people.blog.id)
        await invitations.accept(database, clock, made.token, people.bob)
        assert await seen_by(database, people.bob) == set()

    @pytest.mark.parametrize("only", [(), (1,)])
    async def test_to_projects_of_the_organization_only(
        self, database: Database, clock: FrozenClock, people: People, only: tuple[int, ...]
    ) -> None:
        with pytest.raises(errors.Invalid) as error:
            await invitations.create(database, clock, people.acme.id, people.ann, Role.MEMBER, only)
        assert list(error.value.fields) == ["projects"]

    async def test_an_address_that_is_none(self, database: Database, clock: FrozenClock, people: People) -> None:
        with pytest.raises(errors.Invalid) as error:
            await invitations.create(database, clock, people.acme.id, people.ann, Role.ADMIN, None, "bob")
        assert list(error.value.fields) == ["email"]

    @pytest.mark.parametrize("how", ["removed", "demoted", "gone"])
    async def test_ends_when_its_maker_is_no_admin_any_more(
        self, database: Database, clock: FrozenClock, people: People, how: str
    ) -> None:
        acme = people.acme.id
        await let_in(database, clock, people, Role.ADMIN)
        by_bob = await invitations.create(database, clock, acme, people.bob, Role.ADMIN)
        by_ann = await invitations.create(database, clock, acme, people.ann, Role.MEMBER)
        if how == "removed":
            await members.remove(database, acme, people.bob.id)
        elif how == "demoted":
            await members.change(database, acme, people.bob.id, Role.MEMBER, None)
        else:
            await profile.delete(database, people.bob)
        assert await invitations.of_organization(database, acme) == [by_ann]
        carl = signup.new_account("carl@example.com", "Carl", False, 1)
        async with database.begin() as connection:
            await stored_accounts.create(connection, carl, "no hash")
        with pytest.raises(errors.NotFound):
            await invitations.accept(database, clock, by_bob.token, carl)
        with pytest.raises(errors.Forbidden):
            await invitations.create(database, clock, acme, people.bob, Role.ADMIN)
        assert await invitations.accept(database, clock, by_ann.token, carl) == people.acme

    async def test_removed_while_the_link_is_used_leaves_nobody_half_in(
        self, database: Database, clock: FrozenClock, people: People
    ) -> None:
        acme = people.acme.id
        await let_in(database, clock, people, Role.ADMIN)
        made = [await invitations.create(database, clock, acme, people.bob, Role.ADMIN) for _ in range(3)]
        guests = [signup.new_account(f"guest{number}@example.com", "Guest", False, 1) for number in range(3)]
        async with database.begin() as connection:
            for guest in guests:
                await stored_accounts.create(connection, guest, "no hash")
        pairs = zip(made, guests, strict=True)
        using = [invitations.accept(database, clock, one.token, guest) for one, guest in pairs]
        *answers, removed = await asyncio.gather(
            *using, members.remove(database, acme, people.bob.id), return_exceptions=True
        )
        assert removed is None
        assert {type(answer).__name__ for answer in answers} <= {"NotFound", "Organization"}
        assert await invitations.of_organization(database, acme) == []

    async def test_are_bounded_and_old_ones_are_forgotten(
        self, database: Database, clock: FrozenClock, people: People, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(invitations, "PENDING_MAX", 1)
        first = await invitations.create(database, clock, people.acme.id, people.ann, Role.MEMBER)
        with pytest.raises(errors.Conflict):
            await invitations.create(database, clock, people.acme.id, people.ann, Role.MEMBER)
        clock.set(first.created_at_ms + 2 * invitations.VALID_MS + 1)
        second = await invitations.create(database, clock, people.acme.id, people.ann, Role.MEMBER)
        assert await invitations.of_organization(database, people.acme.id) == [second]


class TestMembers:
    async def test_roles_and_projects(self, database: Database, clock: FrozenClock, people: People) -> None:
        await let_in(database, clock, people, Role.MEMBER)
        acme, bob = people.acme.id, people.bob
        await members.change(database, acme, bob.id, Role.MEMBER, (people.shop.id,))
        assert await seen_by(database, bob) == {"Shop"}
        found = sorted(await members.of_organization(database, acme), key=lambda member: member.name)
        assert [(one.name, one.role, one.project_ids) for one in found] == [
            ("Ann", Role.ADMIN, None),
            ("Bob", Role.MEMBER, (people.shop.id,)),
        ]
        await members.change(database, acme, bob.id, Role.ADMIN, (people.shop.id,))
        assert await seen_by(database, bob) == {"Shop", "Blog"}
        await members.change(database, acme, bob.id, Role.MEMBER, None)
        assert await seen_by(database, bob) == {"Shop", "Blog"}

    async def test_a_wrong_choice_changes_nothing(self, database: Database, clock: FrozenClock, people: People) -> None:
        await let_in(database, clock, people, Role.ADMIN)
        with pytest.raises(errors.Invalid):
            await members.change(database, people.acme.id, people.bob.id, Role.MEMBER, ())
        assert await access.role_in(database, people.bob, people.acme.id) is Role.ADMIN

    async def test_strangers_are_not_found(self, database: Database, people: People) -> None:
        for refused in (
            members.change(database, people.acme.id, people.bob.id, Role.ADMIN, None),
            members.remove(database, people.acme.id, people.bob.id),
        ):
            with pytest.raises(errors.NotFound):
                await refused

    async def test_the_last_admin_stays(self, database: Database, clock: FrozenClock, people: People) -> None:
        await let_in(database, clock, people, Role.MEMBER)
        for refused in (
            members.change(database, people.acme.id, people.ann.id, Role.MEMBER, None),
            members.remove(database, people.acme.id, people.ann.id),
        ):
            with pytest.raises(errors.Conflict):
                await refused
        await members.remove(database, people.acme.id, people.bob.id)
        assert await seen_by(database, people.bob) == set()

    async def test_of_two_admins_who_go_at_once_one_stays(
        self, database: Database, clock: FrozenClock, people: People
    ) -> None:
        await let_in(database, clock, people, Role.ADMIN)
        async with database.connect() as connection:
            assert await members.only_admin_of(connection, people.ann.id) == []
        leaving = (members.remove(database, people.acme.id, account.id) for account in (people.ann, people.bob))
        answers = await asyncio.gather(*leaving, return_exceptions=True)
        assert [type(answer).__name__ for answer in answers if answer is not None] == ["Conflict"]
        async with database.connect() as connection:
            assert len(await stored.admins(connection, people.acme.id)) == 1

    @pytest.mark.parametrize("is_invited", [False, True])
    async def test_an_account_that_ends_leaves_nothing_it_enters_at_that_moment_without_admin(
        self,
        database: Database,
        clock: FrozenClock,
        people: People,
        monkeypatch: pytest.MonkeyPatch,
        is_invited: bool,
    ) -> None:
        made = await invitations.create(database, clock, people.acme.id, people.ann, Role.ADMIN)
        entering: list[asyncio.Task[Organization]] = []
        looked = members.only_admin_of

        async def looks(connection: Connection, account_id: str) -> list[Organization]:
            found = await looked(connection, account_id)
            enters = (
                invitations.accept(database, clock, made.token, people.bob)
                if is_invited
                else organizations.create(database, clock, people.bob, "Bob & Co")
            )
            entering.append(asyncio.create_task(enters))
            await asyncio.wait(entering, timeout=0.5)
            return found

        monkeypatch.setattr(members, "only_admin_of", looks)
        await profile.delete(database, people.bob)
        [answer] = await asyncio.gather(*entering, return_exceptions=True)
        assert isinstance(answer, errors.NotFound)
