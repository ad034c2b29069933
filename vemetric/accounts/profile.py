"""What people change of their own account: name, address, password, tips; and its end."""

from collections.abc import Mapping

import msgspec

from vemetric import errors
from vemetric.accounts import fields, limits, members, passwords, verification, ways_in
from vemetric.accounts.logins import FRESH_HOURS, HOUR_MS
from vemetric.accounts.oauth import Provider
from vemetric.accounts.post import Post
from vemetric.clock import Clock
from vemetric.database import accounts as stored_accounts
from vemetric.database import invitations as stored_invitations
from vemetric.database import letters as stored_letters
from vemetric.database import logins as stored_logins
from vemetric.database.database import Connection, Database
from vemetric.mail import letters
from vemetric.model.account import Account, Login
from vemetric.model.verification import Purpose
from vemetric.queues.keys import Keys

WRONG_PASSWORD = "The password is not right."  # noqa: S105 - a sentence
NOT_FRESH = "Sign out and in again first: this needs a login that is less than a day old."
LAST_OPERATOR = "You are the only operator of this server, and it needs one."


async def prove(
    database: Database, keys: Keys, clock: Clock, account: Account, login: Login, password: str, field: str = "password"
) -> None:
    """Make sure that it is the owner who asks: by the password, or by a fresh login where there is none.

    Raises Invalid about the field, Forbidden, TooManyRequests.
    """
    async with database.connect() as connection:
        stored_hash = await stored_accounts.password_hash(connection, account.id)
    if stored_hash is None:
        prove_by_login(clock, login)
        return
    slot = await limits.take_for(keys, clock, limits.PROOF, account.id)
    if not await passwords.verify(password, stored_hash):
        raise errors.Invalid(WRONG_PASSWORD, {field: WRONG_PASSWORD})
    await limits.give_back(keys, slot)


def prove_by_login(clock: Clock, login: Login) -> None:
    """Make sure that the login is fresh. Raises Forbidden."""
    if clock.now_ms() - login.created_at_ms >= FRESH_HOURS * HOUR_MS:
        raise errors.Forbidden(NOT_FRESH)


async def has_password(database: Database, account_id: str) -> bool:
    """Whether the account can sign in with a password."""
    async with database.connect() as connection:
        return await stored_accounts.password_hash(connection, account_id) is not None


async def rename(database: Database, clock: Clock, account_id: str, name: str) -> None:
    """Give the account another name. Raises Invalid."""
    await _change(database, clock, account_id, **fields.clean(name=(fields.name, name)))


async def receive_tips(database: Database, clock: Clock, account_id: str, wanted: bool) -> None:
    """Whether letters with tips are welcome. Raises NotFound for an account that is gone."""
    await _change(database, clock, account_id, receives_tips=wanted)


async def set_image(database: Database, clock: Clock, account_id: str, image: str | None) -> str | None:
    """Give the account another picture, or none; returns the name of the one it had."""
    return (await _change(database, clock, account_id, image=image)).image


async def change_email(database: Database, keys: Keys, clock: Clock, post: Post, account: Account, email: str) -> bool:
    """Let the account have another address: at once, or where mail is set up by the link of a letter sent there.

    Returns whether it is done. Raises Invalid, and TooManyRequests, for letters go to whatever address is typed. That
    an address has an account already is not told where mail is set up: its owner gets no letter, and nothing changes.
    """
    cleaned = fields.clean(email=(fields.email, email))["email"]
    if cleaned == account.email:
        raise errors.Invalid(None, {"email": "This is your address already."})
    if post.is_set_up:
        await limits.take_for(keys, clock, limits.LETTERS, account.id)
        await limits.take_for(keys, clock, limits.LETTERS_TO_ADDRESS, f"new {cleaned}")
    letter = None
    async with database.begin() as connection:
        is_taken = await stored_accounts.by_email(connection, cleaned) is not None
        if not post.is_set_up:
            if is_taken:
                raise errors.Invalid(None, {"email": "There is an account with this address already."})
            now = await verification.keep_account(connection, account.id)
            changed = msgspec.structs.replace(now, email=cleaned, email_verified_at_ms=None)
            await stored_accounts.update(connection, changed, clock.now_ms())
        elif not is_taken:
            made = await verification.begin(connection, account.id, Purpose.NEW_ADDRESS, cleaned, clock.now_ms())
            url = f"{post.url}{verification.NEW_ADDRESS_PATH}/{made.token}"
            words = letters.confirm_new_address(account.name, url, verification.LINK_HOURS)
            letter = await post.write(connection, words, cleaned, account.id)
    if letter is not None:
        await post.dispatch(letter)
    return not post.is_set_up


async def change_password(
    database: Database,
    clock: Clock,
    post: Post,
    providers: Mapping[str, Provider],
    account: Account,
    login: Login,
    new: str,
) -> None:
    """Set a new password; every other login ends, and links to set one too. Raises Invalid.

    Services stay connected, as they are not known by the password; the letter names them.
    """
    fields.clean(new_password=(passwords.allowed, new))
    new_hash, now_ms = await passwords.hashed(new), clock.now_ms()
    async with database.begin() as connection:
        await stored_accounts.set_password(connection, account.id, new_hash, now_ms)
        await stored_logins.delete_of_account(connection, account.id, login.id)
        await verification.end_all(connection, account.id)
        words = await ways_in.new_password_words(connection, post, providers, account)
        letter = await post.write(connection, words, account.email, account.id)
    await post.dispatch(letter)


async def delete(database: Database, account: Account) -> None:
    """End the account. Raises Conflict when an organization would be without an admin, or this server without operator.

    Projects, funnels and the like belong to organizations and stay.
    """
    async with database.begin() as connection:
        # It makes and enters no organization meanwhile.
        now = await verification.keep_account(connection, account.id)
        left_alone = await members.only_admin_of(connection, account.id)
        if left_alone:
            names = ", ".join(organization.name for organization in left_alone)
            raise errors.Conflict(
                f"You are the only admin of {names}. Make somebody else admin there, or delete it first."
            )
        await connection.lock("operators")
        if await _is_last_operator(connection, account.id):
            raise errors.Conflict(LAST_OPERATOR)
        await stored_invitations.delete_of_maker(connection, account.id)
        await stored_letters.forget_address(connection, now.email)
        await stored_accounts.delete(connection, account.id)


async def _is_last_operator(connection: Connection, account_id: str) -> bool:
    return [one.id for one in await stored_accounts.operators(connection)] == [account_id]


async def _change(database: Database, clock: Clock, account_id: str, **values: str | bool | None) -> Account:
    """Change an account; returns it as it was."""
    async with database.begin() as connection:
        account = await verification.keep_account(connection, account_id)
        await stored_accounts.update(connection, msgspec.structs.replace(account, **values), clock.now_ms())
    return account
