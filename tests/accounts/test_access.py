"""Who sees what: the operator all, members their organization's, strangers nothing."""

from typing import NamedTuple

import pytest

from vemetric.accounts import access, projects, signup
from vemetric.clock import FrozenClock
from vemetric.database import accounts as stored_accounts
from vemetric.database import organizations as stored_organizations
from vemetric.database.database import Database
from vemetric.model.account import Account
from vemetric.model.organization import Membership, Organization, Role
from vemetric.model.project import Project


class Cast(NamedTuple):
    """Olga runs the machine; Alice administers the organization, Bob is a member, Charlie is a stranger."""

    olga: Account
    alice: Account
    bob: Account
    charlie: Account
    organization: Organization
    shop: Project
    blog: Project


@pytest.fixture
async def cast(database: Database, clock: FrozenClock) -> Cast:
    people = [signup.new_account(f"{name}@example.com", name, name == "olga", 1) for name in Cast._fields[:4]]
    organization = Organization("acme", "Acme", 1)
    async with database.begin() as connection:
        for account in people:
            await stored_accounts.create(connection, account, "hash")
        await stored_organizations.create(connection, organization)
        for account, role in ((people[1], Role.ADMIN), (people[2], Role.MEMBER)):
            await stored_organizations.add_member(connection, Membership(account.id, "acme", role), 1)
    shop = await projects.create(database, clock, "acme", "Shop", "shop.example")
    clock.advance(1)
    blog = await projects.create(database, clock, "acme", "Blog", "blog.example")
    return Cast(*people, organization, shop, blog)


async def test_projects(database: Database, cast: Cast) -> None:
    for account in (cast.olga, cast.alice, cast.bob):
        assert await access.projects_of(database, account) == [cast.shop, cast.blog]
        assert await access.project_for(database, account, cast.shop.id) == cast.shop
        assert await access.project_for(database, account, 1) is None
    assert await access.projects_of(database, cast.charlie) == []
    assert await access.project_for(database, cast.charlie, cast.shop.id) is None


async def test_a_restricted_member_sees_what_is_listed(database: Database, cast: Cast) -> None:
    async with database.begin() as connection:
        await stored_organizations.set_access(connection, "acme", cast.bob.id, (cast.blog.id,))
    assert await access.projects_of(database, cast.bob) == [cast.blog]
    assert await access.project_for(database, cast.bob, cast.shop.id) is None


async def test_roles(database: Database, cast: Cast) -> None:
    assert await access.role_in(database, cast.olga, "acme") is Role.ADMIN
    assert await access.role_in(database, cast.olga, "none") is None
    assert await access.role_in(database, cast.alice, "acme") is Role.ADMIN
    assert await access.role_in(database, cast.bob, "acme") is Role.MEMBER
    assert await access.role_in(database, cast.charlie, "acme") is None


async def test_organizations(database: Database, cast: Cast) -> None:
    for account in (cast.olga, cast.alice, cast.bob):
        assert await access.organizations_of(database, account) == [cast.organization]
    assert await access.organizations_of(database, cast.charlie) == []
