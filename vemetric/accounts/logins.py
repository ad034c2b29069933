"""Signing in and out. A login is a random token in a cookie; the store has its hash. Used by web/ for every page."""

import msgspec

from vemetric import errors
from vemetric.accounts import fields, limits, passwords, tokens
from vemetric.clock import Clock
from vemetric.database import accounts as stored_accounts
from vemetric.database import logins as stored_logins
from vemetric.database import verifications
from vemetric.database.database import Database
from vemetric.model import ids
from vemetric.model.account import Account, Login
from vemetric.model.text import well_formed
from vemetric.queues.keys import Keys

# A login lives this long after its last use; used again after the second span, it is prolonged.
LIFETIME_DAYS = 7
PROLONG_AFTER_HOURS = 24
DAY_MS = 86_400_000
HOUR_MS = 3_600_000

ID_LENGTH = 16
USER_AGENT_LENGTH_MAX = 255
IP_LENGTH_MAX = 45
TOKEN_LENGTH_MAX = 128
# What needs somebody who has proved lately who they are, and has no password to ask for.
FRESH_HOURS = 24
# Stands for what is not an address at all: no account has it.
NOBODY = ""


class Browser(msgspec.Struct, frozen=True):
    """Who asks, as the account's list of logins shows it."""

    user_agent: str = ""
    ip: str = ""


class Unproved(errors.Forbidden):
    """This address is not confirmed yet."""


async def sign_in(
    database: Database,
    keys: Keys,
    clock: Clock,
    email: str,
    password: str,
    browser: Browser,
    remember: bool = True,
    needs_proof: bool = False,
) -> tuple[str, Login]:
    """Open a login; returns its token, for the cookie. Raises Unauthorized or TooManyRequests.

    An unknown address takes as long and says the same as a wrong password. needs_proof: let nobody in whose address
    is not proved; raises Unproved, but only to somebody who knows the password.
    """
    try:
        email = fields.email(email)
    except ValueError:
        email = NOBODY
    slots = [
        await limits.take_for(keys, clock, limits.LOGIN, browser.ip),
        await limits.take_for(keys, clock, limits.LOGIN_ON_ACCOUNT, f"{limits.network_of(browser.ip)} {email}"),
    ]
    async with database.connect() as connection:
        account = await stored_accounts.by_email(connection, email)
        stored_hash = await stored_accounts.password_hash(connection, account.id) if account else None
    if not await passwords.verify(password, stored_hash) or account is None or stored_hash is None:
        raise errors.Unauthorized("The e-mail address or the password is wrong.")
    for slot in slots:
        await limits.give_back(keys, slot)
    if needs_proof and account.email_verified_at_ms is None:
        raise Unproved
    if passwords.is_outdated(stored_hash):
        await _store_password(database, clock, account.id, await passwords.hashed(password))
    return await open_login(database, clock, account, browser, remember)


async def open_login(
    database: Database, clock: Clock, account: Account, browser: Browser, remember: bool = True
) -> tuple[str, Login]:
    """Open a login for somebody who has proved to be the account's owner; returns its token."""
    token, now_ms = tokens.new(), clock.now_ms()
    login = Login(
        id=ids.random_id(ID_LENGTH),
        account_id=account.id,
        remember=remember,
        user_agent=well_formed(browser.user_agent)[:USER_AGENT_LENGTH_MAX],
        ip=browser.ip[:IP_LENGTH_MAX],
        created_at_ms=now_ms,
        used_at_ms=now_ms,
        expires_at_ms=now_ms + LIFETIME_DAYS * DAY_MS,
    )
    async with database.begin() as connection:
        await stored_logins.delete_expired(connection, now_ms)
        await stored_logins.create(connection, login, tokens.hashed(token))
    return token, login


async def by_token(database: Database, clock: Clock, token: str) -> tuple[Account, Login] | None:
    """Who is signed in with this token, and by which login; None if nobody is. Use prolongs the login."""
    if not 0 < len(token) <= TOKEN_LENGTH_MAX:
        return None
    now_ms = clock.now_ms()
    async with database.connect() as connection:
        found = await stored_logins.by_token_hash(connection, tokens.hashed(token), now_ms)
    if found is None:
        return None
    account, login = found
    if now_ms - login.used_at_ms < PROLONG_AFTER_HOURS * HOUR_MS:
        return found
    prolonged = msgspec.structs.replace(login, used_at_ms=now_ms, expires_at_ms=now_ms + LIFETIME_DAYS * DAY_MS)
    async with database.begin() as connection:
        await stored_logins.prolong(connection, login.id, prolonged.used_at_ms, prolonged.expires_at_ms)
    return account, prolonged


async def sign_out(database: Database, login: Login) -> None:
    """End the login."""
    await revoke(database, login.account_id, login.id)


async def of_account(database: Database, clock: Clock, account_id: str) -> list[Login]:
    """The account's open logins, the last used first."""
    async with database.connect() as connection:
        return await stored_logins.of_account(connection, account_id, clock.now_ms())


async def revoke(database: Database, account_id: str, login_id: str) -> bool:
    """End one login of the account; False if it is not one of its own."""
    async with database.begin() as connection:
        return await stored_logins.delete(connection, account_id, login_id)


async def revoke_others(database: Database, login: Login) -> int:
    """End every other login of the account; returns how many."""
    async with database.begin() as connection:
        return await stored_logins.delete_of_account(connection, login.account_id, login.id)


async def reset_password(database: Database, clock: Clock, email: str, password: str) -> Account:
    """Give the account of an address a new password; its logins, codes and links end. Raises NotFound, Invalid."""
    fields.clean(password=(passwords.allowed, password))
    new_hash = await passwords.hashed(password)
    async with database.begin() as connection:
        account = await stored_accounts.by_email(connection, email.strip().lower())
        if account is None:
            raise errors.NotFound(f"There is no account with the address {email}.")
        await stored_accounts.set_password(connection, account.id, new_hash, clock.now_ms())
        await stored_logins.delete_of_account(connection, account.id)
        await verifications.delete_of_account(connection, account.id)
    return account


async def _store_password(database: Database, clock: Clock, account_id: str, new_hash: str) -> None:
    async with database.begin() as connection:
        await stored_accounts.set_password(connection, account_id, new_hash, clock.now_ms())
