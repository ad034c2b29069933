"""A store and the cast: Alice administers the organization, Bob is a member, Charlie is a stranger."""

from typing import NamedTuple

import pytest

from tests.relational import database  # noqa: F401 - a fixture
from vemetric.database import accounts, organizations, projects
from vemetric.database.database import Database
from vemetric.model.account import Account
from vemetric.model.organization import Membership, Organization, Role
from vemetric.model.project import Project

NOW_MS = 1_767_225_600_000


class Cast(NamedTuple):
    """Who and what there is."""

    alice: Account
    bob: Account
    charlie: Account
    organization: Organization
    shop: Project
    blog: Project


def an_account(name: str, is_operator: bool = False) -> Account:
    return Account(name * 2, name.title(), f"{name}@example.com", is_operator, NOW_MS)


def a_project(project_id: int, domain: str, organization_id: str, **changes: object) -> Project:
    token = f"token-{project_id % 10**10:010}"
    project = Project(project_id, organization_id, domain.title(), domain, token, created_at_ms=NOW_MS)
    return Project(**{**{name: getattr(project, name) for name in Project.__struct_fields__}, **changes})


@pytest.fixture
async def cast(database: Database) -> Cast:  # noqa: F811
    alice, bob, charlie = an_account("alice", is_operator=True), an_account("bob"), an_account("charlie")
    organization = Organization("acme", "Acme", NOW_MS)
    # The largest and a small id: both ends of what an unsigned 64-bit number may be.
    shop, blog = a_project(2**64 - 1, "shop.example", "acme"), a_project(7, "blog.example", "acme")
    async with database.begin() as connection:
        for account in (alice, bob, charlie):
            await accounts.create(connection, account, f"hash of {account.name}")
        await organizations.create(connection, organization)
        await organizations.add_member(connection, Membership(alice.id, organization.id, Role.ADMIN), NOW_MS)
        await organizations.add_member(connection, Membership(bob.id, organization.id, Role.MEMBER), NOW_MS)
        await projects.create(connection, shop)
        await projects.create(connection, blog)
    return Cast(alice, bob, charlie, organization, shop, blog)
