"""How accounts come to be: the first one through the set-up link, and any through the command line.

The first account, however it is made, is the operator's and ends every set-up link.
"""

import msgspec

from vemetric import errors
from vemetric.accounts import fields, passwords, projects, tokens
from vemetric.clock import Clock
from vemetric.database import accounts as stored_accounts
from vemetric.database import organizations as stored_organizations
from vemetric.database import projects as stored_projects
from vemetric.database import setup_tokens
from vemetric.database.database import Connection, Database
from vemetric.model import ids
from vemetric.model.account import Account
from vemetric.model.organization import Membership, Organization, Role
from vemetric.model.project import Project

SETUP_TOKEN_HOURS = 24
HOUR_MS = 3_600_000
ACCOUNT_ID_LENGTH = 16

# The name of the lock under which it is decided who is first.
FIRST_ACCOUNT_LOCK = "first-account"
LINK_IS_DEAD = "This set-up link does not work any more. `vemetric setup-link` prints a new one."


class FirstRun(msgspec.Struct, frozen=True):
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


async def new_setup_token(database: Database, clock: Clock) -> str:
    """A new token for the set-up link, valid for 24 hours; earlier ones end. Conflict once there is an account."""
    token, now_ms = tokens.new(), clock.now_ms()
    async with database.begin() as connection:
        await connection.lock(FIRST_ACCOUNT_LOCK)
        if await stored_accounts.exist(connection):
            raise errors.Conflict("There is an account already, so there is nothing to set up.")
        await setup_tokens.replace(connection, tokens.hashed(token), now_ms, now_ms + SETUP_TOKEN_HOURS * HOUR_MS)
    return token


async def has_accounts(database: Database) -> bool:
    """Whether set-up is done."""
    async with database.connect() as connection:
        return await stored_accounts.exist(connection)


async def is_setup_token(database: Database, clock: Clock, token: str) -> bool:
    """Whether the set-up link with this token works."""
    async with database.connect() as connection:
        return await setup_tokens.is_valid(connection, tokens.hashed(token), clock.now_ms())


async def set_up(database: Database, clock: Clock, token: str, form: FirstRun) -> Installation:
    """Make the operator, the organization and the first project, all or none.

    Raises Forbidden when the token is not valid or somebody was faster, Invalid with what is wrong per field.
    """
    if not await is_setup_token(database, clock, token):
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
        await stored_projects.create(connection, project)
    return Installation(account, organization, project)


async def create_account(
    database: Database, clock: Clock, email: str, password: str, name: str | None = None, role: Role = Role.MEMBER
) -> Account:
    """Make an account at the word of who runs the machine. It joins the only organization there is, as `role`.

    The first account becomes the operator, and an admin. Without a name it goes by its address. Raises Invalid with
    what is wrong per field, Conflict when the address is taken.
    """
    typed = fields.clean(
        email=(fields.email, email),
        password=(passwords.allowed, password),
        name=(fields.name, _name_from(email) if name is None else name),
    )
    password_hash = await passwords.hashed(password)
    now_ms = clock.now_ms()
    async with database.begin() as connection:
        await connection.lock(FIRST_ACCOUNT_LOCK)
        is_first = not await stored_accounts.exist(connection)
        if await stored_accounts.by_email(connection, typed["email"]) is not None:
            raise errors.Conflict(f"There is an account with the address {typed['email']} already.")
        account = new_account(typed["email"], typed["name"], is_first, now_ms)
        await stored_accounts.create(connection, account, password_hash)
        await setup_tokens.erase(connection)
        await _join_the_only_organization(connection, account, Role.ADMIN if is_first else role, now_ms)
    return account


async def everyone(database: Database) -> list[Account]:
    """All accounts, the oldest first."""
    async with database.connect() as connection:
        return await stored_accounts.everyone(connection)


def new_account(email: str, name: str, is_operator: bool, now_ms: int) -> Account:
    """An account with an id of its own, not stored yet."""
    return Account(ids.random_id(ACCOUNT_ID_LENGTH), name, email, is_operator, now_ms)


def _name_from(email: str) -> str:
    """A name for somebody who gave none: what stands before the @, padded by the rest where it is too short."""
    local = email.strip().partition("@")[0]
    return local if len(local) >= fields.NAME_LENGTH_MIN else email[: fields.NAME_LENGTH_MAX]


async def _join_the_only_organization(connection: Connection, account: Account, role: Role, now_ms: int) -> None:
    organizations = await stored_organizations.everything(connection)
    if len(organizations) == 1:
        membership = Membership(account.id, organizations[0].id, role)
        await stored_organizations.add_member(connection, membership, now_ms)
