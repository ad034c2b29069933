"""Proving an address: by the code or the link of a letter. Setting a new password by a link works the same way."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping

import msgspec

from vemetric import errors
from vemetric.accounts import errands, fields, limits, passwords, tokens, ways_in
from vemetric.accounts.oauth import Provider
from vemetric.accounts.post import Post
from vemetric.clock import Clock
from vemetric.database import accounts as stored_accounts
from vemetric.database import logins as stored_logins
from vemetric.database import verifications
from vemetric.database.database import Connection, Database
from vemetric.mail import letters
from vemetric.model import ids
from vemetric.model.account import Account
from vemetric.model.verification import Purpose, Verification
from vemetric.queues.keys import Keys

ID_LENGTH = 16
CODE_DIGITS = 6
CODE_MINUTES = 5
CODE_ATTEMPTS_MAX = 3
LINK_HOURS = 1
MINUTE_MS = 60_000
HOUR_MS = 3_600_000

VERIFY_PATH = "/verify"
NEW_ADDRESS_PATH = "/new-address"
RESET_PATH = "/reset"

WRONG_CODE = "This code is not right, or not valid any more."
# What somebody without a login may have written.
Asked = type[errands.Verify] | type[errands.Reset]

DEAD_LINK = "This link does not work any more. Ask for a new one."


class Secrets(msgspec.Struct, frozen=True):
    """What goes into the letter and is not kept."""

    token: str
    code: str


async def begin(connection: Connection, account_id: str, purpose: Purpose, email: str, now_ms: int) -> Secrets:
    """Make a code and a link; those made before for the same purpose end."""
    made = Secrets(tokens.new(), f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}")
    verification_id = ids.random_id(ID_LENGTH)
    new = Verification(
        id=verification_id,
        purpose=purpose,
        account_id=account_id,
        email=email,
        token_hash=tokens.hashed(made.token),
        code_hash=_code_hash(verification_id, made.code) if purpose is Purpose.SIGN_UP else None,
        attempts=0,
        created_at_ms=now_ms,
        expires_at_ms=now_ms + LINK_HOURS * HOUR_MS,
    )
    await verifications.replace(connection, new, now_ms)
    return made


def sign_up_words(post: Post, made: Secrets) -> letters.Words:
    """The letter with the code and the link for a new account."""
    url = f"{post.url}{VERIFY_PATH}/{made.token}"
    return letters.verify_email(url, made.code, CODE_MINUTES, LINK_HOURS)


async def ask(keys: Keys, clock: Clock, post: Post, errand: Asked, email: str, ip: str) -> None:
    """Have a letter with a new code, or with the link to a new password, written to whoever has this address.

    What the page does and says is the same for an address that nobody has: the queue looks, not the page. An address
    gets one letter in a while; asking again before says nothing and sends nothing. Raises Invalid, TooManyRequests.
    """
    cleaned = fields.clean(email=(fields.email, email))["email"]
    await limits.take_for(keys, clock, limits.RESET if errand is errands.Reset else limits.LETTERS, ip)
    if await limits.allows(keys, clock, limits.LETTERS_TO_ADDRESS, f"{errand.__name__} {cleaned}"):
        await post.run(errand(cleaned))


async def write_code(database: Database, clock: Clock, post: Post, email: str) -> None:
    """Mail a new code, if the address has an account that waits for one. Run by the queue."""
    async with database.begin() as connection:
        account = await stored_accounts.by_email(connection, email)
        if account is None or account.email_verified_at_ms is not None:
            return
        made = await begin(connection, account.id, Purpose.SIGN_UP, email, clock.now_ms())
        letter = await post.write(connection, sign_up_words(post, made), email, account.id)
    await post.dispatch(letter)


async def by_code(database: Database, keys: Keys, clock: Clock, email: str, code: str, ip: str) -> Account:
    """The account whose address this code proves. Raises Invalid, the same for every reason, and TooManyRequests."""
    await limits.take_for(keys, clock, limits.CODE, ip)
    now_ms, typed = clock.now_ms(), "".join(code.split())
    try:
        cleaned = fields.email(email)
    except ValueError:
        raise errors.Invalid(WRONG_CODE, {"code": WRONG_CODE}) from None
    async with database.begin() as connection:
        await connection.lock(f"code:{cleaned}")
        found = await verifications.of_email(connection, Purpose.SIGN_UP, cleaned, now_ms)
        is_right = found is not None and _is_right(found, typed, now_ms)
        if found is not None and not is_right:
            await verifications.count_attempt(connection, found.id)
        if found is not None and is_right:
            return await _prove(connection, found, now_ms)
    raise errors.Invalid(WRONG_CODE, {"code": WRONG_CODE})


async def is_open(database: Database, clock: Clock, purpose: Purpose, token: str) -> bool:
    """Whether a link works."""
    async with database.connect() as connection:
        found = await verifications.by_token_hash(connection, purpose, tokens.hashed(token), clock.now_ms())
    return found is not None


async def by_link(database: Database, clock: Clock, token: str) -> Account:
    """The account whose address this link proves. Raises NotFound."""
    async with database.begin() as connection:
        found = await _used(connection, Purpose.SIGN_UP, token, clock.now_ms())
        return await _prove(connection, found, clock.now_ms())


async def write_reset(database: Database, clock: Clock, post: Post, email: str) -> None:
    """Mail the link to set a new password, if the address has an account. Run by the queue, out of anybody's sight."""
    async with database.begin() as connection:
        account = await stored_accounts.by_email(connection, email)
        if account is None:
            return
        made = await begin(connection, account.id, Purpose.PASSWORD, account.email, clock.now_ms())
        words = letters.reset_password(account.name, f"{post.url}{RESET_PATH}/{made.token}", LINK_HOURS)
        letter = await post.write(connection, words, account.email, account.id)
    await post.dispatch(letter)


async def set_password(
    database: Database, clock: Clock, post: Post, providers: Mapping[str, Provider], token: str, password: str
) -> Account:
    """Set a new password by the link of a letter; every login, code and link ends. Raises NotFound and Invalid.

    The letter came to the account's address, so that this proves the address too.
    """
    if not await is_open(database, clock, Purpose.PASSWORD, token):
        raise errors.NotFound(DEAD_LINK)
    fields.clean(password=(passwords.allowed, password))
    new_hash, now_ms = await passwords.hashed(password), clock.now_ms()
    async with database.begin() as connection:
        found = await _used(connection, Purpose.PASSWORD, token, now_ms)
        account = await _prove(connection, found, now_ms)
        await stored_accounts.set_password(connection, account.id, new_hash, now_ms)
        await stored_logins.delete_of_account(connection, account.id)
        # Whoever had the old password may have asked for another address: its link would take the account back.
        await end_all(connection, account.id)
        words = await ways_in.new_password_words(connection, post, providers, account)
        letter = await post.write(connection, words, account.email, account.id)
    await post.dispatch(letter)
    return account


async def new_address_of(database: Database, clock: Clock, account_id: str, token: str) -> str | None:
    """The address that the account asked for with this link; None where the link is dead, or another account's."""
    async with database.connect() as connection:
        found = await verifications.by_token_hash(connection, Purpose.NEW_ADDRESS, tokens.hashed(token), clock.now_ms())
    return found.email if found is not None and found.account_id == account_id else None


async def take_new_address(database: Database, clock: Clock, post: Post, account_id: str, token: str) -> Account:
    """Let the account have the address that this link was sent to.

    Raises NotFound, as well for a link of another account, and Conflict if the address has an owner.
    """
    now_ms = clock.now_ms()
    async with database.begin() as connection:
        found = await _used(connection, Purpose.NEW_ADDRESS, token, now_ms)
        if found.account_id != account_id:
            raise errors.NotFound(DEAD_LINK)
        account = await _account(connection, found)
        changed = msgspec.structs.replace(account, email=found.email, email_verified_at_ms=now_ms)
        await stored_accounts.update(connection, changed, now_ms)
        words = letters.address_was_changed(account.name, found.email)
        letter = await post.write(connection, words, account.email, account.id)
    await post.dispatch(letter)
    return changed


async def end_all(connection: Connection, account_id: str) -> None:
    """Let no code or link of the account work any more."""
    await verifications.delete_of_account(connection, account_id)


async def _used(connection: Connection, purpose: Purpose, token: str, now_ms: int) -> Verification:
    token_hash = tokens.hashed(token)
    await connection.lock(f"link:{token_hash}")
    found = await verifications.by_token_hash(connection, purpose, token_hash, now_ms)
    if found is None:
        raise errors.NotFound(DEAD_LINK)
    await verifications.delete_of_account(connection, found.account_id, purpose)
    return found


async def _prove(connection: Connection, found: Verification, now_ms: int) -> Account:
    """Note that the account's address is proved, if it is still the one that the letter went to."""
    await verifications.delete_of_account(connection, found.account_id, found.purpose)
    account = await _account(connection, found)
    if account.email != found.email:
        raise errors.NotFound(DEAD_LINK)
    if account.email_verified_at_ms is None:
        account = msgspec.structs.replace(account, email_verified_at_ms=now_ms)
        await stored_accounts.update(connection, account, now_ms)
    return account


async def keep_account(connection: Connection, account_id: str) -> Account:
    """The account as it is now, and stays until the transaction ends: of two changes neither is lost. Raises NotFound.

    Of several locks it is the first, so that two transactions do not wait for each other.
    """
    await connection.lock(f"account:{account_id}")
    account = await stored_accounts.by_id(connection, account_id)
    if account is None:
        raise errors.NotFound
    return account


async def _account(connection: Connection, found: Verification) -> Account:
    try:
        return await keep_account(connection, found.account_id)
    except errors.NotFound:
        raise errors.NotFound(DEAD_LINK) from None


def _is_right(found: Verification, code: str, now_ms: int) -> bool:
    is_alive = found.attempts < CODE_ATTEMPTS_MAX and now_ms < found.created_at_ms + CODE_MINUTES * MINUTE_MS
    return hmac.compare_digest(found.code_hash or "", _code_hash(found.id, code)) and is_alive


def _code_hash(verification_id: str, code: str) -> str:
    return hashlib.sha256(f"{verification_id}:{code}".encode("utf-8", "surrogatepass")).hexdigest()
