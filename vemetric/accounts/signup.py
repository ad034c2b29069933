"""How accounts come to be: at the word of who runs the machine, or by signing up; setup.py makes the first one.

The first account, however it is made, is the operator's and ends every set-up link.
"""

import msgspec

from vemetric import errors
from vemetric.accounts import fields, limits, passwords, verification, ways_in
from vemetric.accounts.post import Post
from vemetric.clock import Clock
from vemetric.database import accounts as stored_accounts
from vemetric.database import organizations as stored_organizations
from vemetric.database import setup_tokens
from vemetric.database.database import Connection, Database
from vemetric.mail import letters
from vemetric.model import ids
from vemetric.model.account import Account
from vemetric.model.organization import Membership, Role
from vemetric.model.verification import Purpose
from vemetric.queues.keys import Keys

ACCOUNT_ID_LENGTH = 16
# The name of the lock under which it is decided who is first.
FIRST_ACCOUNT_LOCK = "first-account"


class Form(msgspec.Struct, frozen=True):
    """The sign-up form, as typed."""

    name: str
    email: str
    password: str


async def create_account(
    database: Database, clock: Clock, email: str, password: str, name: str | None = None, role: Role = Role.MEMBER
) -> Account:
    """Make an account. It joins the only organization there is, as `role`.

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


async def sign_up(database: Database, keys: Keys, clock: Clock, post: Post, form: Form) -> Account | None:
    """Make an account at the word of whoever it is for. It is in no organization.

    Where mail is set up the address has to be proved first: a letter goes there, and the answer is None, the same
    for an address that has an account already (its owner is written so, once in a while). Otherwise the account is
    ready at once. Raises Invalid with what is wrong per field.
    """
    typed = fields.clean(
        name=(fields.name, form.name), email=(fields.email, form.email), password=(passwords.allowed, form.password)
    )
    password_hash = await passwords.hashed(form.password)
    now_ms = clock.now_ms()
    may_write = await limits.allows(keys, clock, limits.LETTERS_TO_ADDRESS, f"sign-up {typed['email']}")
    async with database.begin() as connection:
        existing = await stored_accounts.by_email(connection, typed["email"])
        account = new_account(typed["email"], typed["name"], False, now_ms, is_verified=False)
        if existing is None:
            await stored_accounts.create(connection, account, password_hash)
        if not post.is_set_up:
            if existing is not None:
                raise errors.Invalid(None, {"email": "There is an account with this address already."})
            return account
        if existing is None:
            made = await verification.begin(connection, account.id, Purpose.SIGN_UP, account.email, now_ms)
            words = verification.sign_up_words(post, made)
        else:
            words = letters.address_is_taken(f"{post.url}/login", f"{post.url}{ways_in.FORGOT_PATH}")
        letter = await post.write(connection, words, typed["email"], (existing or account).id) if may_write else None
    if letter is not None:
        await post.dispatch(letter)
    return None


def is_open(rule: str, is_invited: bool) -> bool:
    """Whether somebody may sign up. rule: the setting VEMETRIC_SIGN_UP."""
    return rule == "open" or (rule == "invited" and is_invited)


async def everyone(database: Database) -> list[Account]:
    """All accounts, the oldest first."""
    async with database.connect() as connection:
        return await stored_accounts.everyone(connection)


def new_account(email: str, name: str, is_operator: bool, now_ms: int, is_verified: bool = True) -> Account:
    """An account with an id of its own, not stored yet. is_verified: its address is proved, or nobody doubts it."""
    verified_at_ms = now_ms if is_verified else None
    return Account(ids.random_id(ACCOUNT_ID_LENGTH), name, email, is_operator, now_ms, verified_at_ms)


def _name_from(email: str) -> str:
    """A name for somebody who gave none: what stands before the @, padded by the rest where it is too short."""
    local = email.strip().partition("@")[0]
    return local if len(local) >= fields.NAME_LENGTH_MIN else email[: fields.NAME_LENGTH_MAX]


async def _join_the_only_organization(connection: Connection, account: Account, role: Role, now_ms: int) -> None:
    organizations = await stored_organizations.everything(connection)
    if len(organizations) == 1:
        membership = Membership(account.id, organizations[0].id, role)
        await stored_organizations.add_member(connection, membership, now_ms)
