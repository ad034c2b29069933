"""Which account somebody from another service gets, and how accounts are connected to services and parted from them."""

from collections.abc import Collection

from vemetric import errors
from vemetric.accounts import fields, signup
from vemetric.accounts.post import Post
from vemetric.accounts.ways_in import SETTINGS_PATH
from vemetric.clock import Clock
from vemetric.database import accounts as stored_accounts
from vemetric.database import oauth_identities
from vemetric.database.database import Connection, Database
from vemetric.mail import letters
from vemetric.model.account import Account
from vemetric.model.identity import Profile
from vemetric.model.letter import Letter


async def enter(
    database: Database, clock: Clock, post: Post, profile: Profile, label: str, may_sign_up: bool
) -> Account:
    """The account that somebody signs in to. Raises Forbidden, Conflict.

    Somebody new gets the account with the same address, if both the service and we have seen it proved: an account
    whose address nobody proved may have been made by anybody. If there is none, a new one, where sign-up is open.
    """
    now_ms, letter = clock.now_ms(), None
    async with database.begin() as connection:
        known = await oauth_identities.account_of(connection, profile.provider, profile.subject)
        account = await stored_accounts.by_id(connection, known) if known is not None else None
        if account is not None:
            return account
        account = await stored_accounts.by_email(connection, profile.email) if profile.email else None
        if account is not None and (not profile.is_email_verified or account.email_verified_at_ms is None):
            raise errors.Conflict(
                f"There is an account with this address. Sign in to it, then connect {label} in its settings."
            )
        if account is None:
            account = await _new_account(connection, profile, label, may_sign_up, now_ms)
        else:
            letter = await _tell(connection, post, account, label)
        await _connect(connection, profile, account, label, now_ms)
    if letter is not None:
        await post.dispatch(letter)
    return account


async def connect(database: Database, clock: Clock, post: Post, profile: Profile, account: Account, label: str) -> None:
    """Let the account be signed in to with a service too, whatever address it has there. Raises Conflict."""
    async with database.begin() as connection:
        known = await oauth_identities.account_of(connection, profile.provider, profile.subject)
        if known == account.id:
            return
        if known is not None:
            raise errors.Conflict(f"This {label} account is connected to another account here.")
        await _connect(connection, profile, account, label, clock.now_ms())
        letter = await _tell(connection, post, account, label)
    await post.dispatch(letter)


async def disconnect(database: Database, providers: Collection[str], account: Account, provider: str) -> None:
    """Part the account from a service. Raises NotFound, and Conflict if there would be no way in any more.

    providers: the keys of those that the settings name; others let nobody in.
    """
    async with database.begin() as connection:
        await connection.lock(f"identities:{account.id}")
        connected = await oauth_identities.of_account(connection, account.id)
        if provider not in connected:
            raise errors.NotFound
        others = (set(connected) & set(providers)) - {provider}
        if not others and await stored_accounts.password_hash(connection, account.id) is None:
            raise errors.Conflict("Set a password first: otherwise there would be no way to sign in any more.")
        await oauth_identities.delete(connection, provider, account.id)


async def of_account(database: Database, account_id: str) -> list[str]:
    """The services that the account is connected to."""
    async with database.connect() as connection:
        return await oauth_identities.of_account(connection, account_id)


async def _tell(connection: Connection, post: Post, account: Account, label: str) -> Letter:
    words = letters.service_was_connected(account.name, label, f"{post.url}{SETTINGS_PATH}")
    return await post.write(connection, words, account.email, account.id)


async def _new_account(connection: Connection, profile: Profile, label: str, may_sign_up: bool, now_ms: int) -> Account:
    if not may_sign_up:
        raise errors.Forbidden(f"Nobody here has this {label} account, and new accounts are not open to everybody.")
    if not profile.is_email_verified:
        raise errors.Forbidden(f"{label} does not say that your e-mail address is yours.")
    account = signup.new_account(profile.email, _name(profile), False, now_ms)
    await stored_accounts.create(connection, account, None)
    return account


async def _connect(connection: Connection, profile: Profile, account: Account, label: str, now_ms: int) -> None:
    if not await oauth_identities.create(connection, profile.provider, profile.subject, account.id, now_ms):
        raise errors.Conflict(f"The account is connected to another {label} account already.")


def _name(profile: Profile) -> str:
    for candidate in (profile.name[: fields.NAME_LENGTH_MAX], profile.email[: fields.NAME_LENGTH_MAX]):
        try:
            return fields.name(candidate)
        except ValueError:
            continue
    return "Somebody"
