"""The set-up link: it opens once, to make the first account with its organization and project.

The link is a random token whose hash is kept for a day. It ends with the first account, however that is made.
"""

import msgspec

from vemetric import errors
from vemetric.accounts import fields, passwords, projects, tokens
from vemetric.accounts.signup import FIRST_ACCOUNT_LOCK, new_account
from vemetric.clock import Clock
from vemetric.database import accounts as stored_accounts
from vemetric.database import organizations as stored_organizations
from vemetric.database import setup_tokens
from vemetric.database.database import Database
from vemetric.model.account import Account
from vemetric.model.organization import Membership, Organization, Role
from vemetric.model.project import Project

# The link is this path below the public address, with the token behind it.
PATH = "/setup"
TOKEN_HOURS = 24
HOUR_MS = 3_600_000

LINK_IS_DEAD = "This set-up link does not work any more. `vemetric setup-link` prints a new one."


class Form(msgspec.Struct, frozen=True):
    """The set-up form, as typed."""

    name: str
    email: str
    password: str
    organization: str
    project: str
    domain: str
    time_zone: str = "UTC"


class Installation(msgspec.Struct, frozen=True):
    """What the set-up form makes."""

    account: Account
    organization: Organization
    project: Project


async def new_link(database: Database, clock: Clock, url: str) -> str | None:
    """A new set-up link below the public address, valid for 24 hours; earlier ones end. None once set-up is done."""
    token = await new_token(database, clock)
    return None if token is None else f"{url}{PATH}/{token}"


async def new_token(database: Database, clock: Clock) -> str | None:
    """The token of a new set-up link, as new_link."""
    token, now_ms = tokens.new(), clock.now_ms()
    async with database.begin() as connection:
        await connection.lock(FIRST_ACCOUNT_LOCK)
        if await stored_accounts.exist(connection):
            return None
        await setup_tokens.replace(connection, tokens.hashed(token), now_ms, now_ms + TOKEN_HOURS * HOUR_MS)
    return token


async def is_done(database: Database) -> bool:
    """Whether set-up is done."""
    async with database.connect() as connection:
        return await stored_accounts.exist(connection)


async def is_valid(database: Database, clock: Clock, token: str) -> bool:
    """Whether the set-up link with this token works."""
    async with database.connect() as connection:
        return await setup_tokens.is_valid(connection, tokens.hashed(token), clock.now_ms())


async def complete(database: Database, clock: Clock, token: str, form: Form) -> Installation:
    """Make the operator, the organization and the first project, all or none.

    Raises Forbidden when the token is not valid or somebody was faster, Invalid with what is wrong per field, Conflict
    when there is a project of that domain, made on the command line.
    """
    if not await is_valid(database, clock, token):
        raise errors.Forbidden(LINK_IS_DEAD)
    typed = fields.clean(
        name=(fields.name, form.name),
        email=(fields.email, form.email),
        password=(passwords.allowed, form.password),
        organization=(fields.name, form.organization),
        project=(fields.name, form.project),
        domain=(fields.domain, form.domain),
        time_zone=(fields.time_zone, form.time_zone),
    )
    password_hash = await passwords.hashed(form.password)
    now_ms = clock.now_ms()
    account = new_account(typed["email"], typed["name"], True, now_ms)
    organization = projects.new_organization(typed["organization"], now_ms)
    project = projects.new_project(organization.id, typed["project"], typed["domain"], typed["time_zone"], now_ms)
    async with database.begin() as connection:
        await connection.lock(FIRST_ACCOUNT_LOCK)
        if not await setup_tokens.is_valid(connection, tokens.hashed(token), now_ms):
            raise errors.Forbidden(LINK_IS_DEAD)
        await setup_tokens.erase(connection)
        await stored_accounts.create(connection, account, password_hash)
        await stored_organizations.create(connection, organization)
        await stored_organizations.add_member(connection, Membership(account.id, organization.id, Role.ADMIN), now_ms)
        await projects.store(connection, project)
    return Installation(account, organization, project)
