"""Signing in, staying signed in, being signed out."""

import argon2
import pytest

from vemetric import errors
from vemetric.accounts import limits, logins, signup
from vemetric.clock import FrozenClock
from vemetric.database import accounts as stored_accounts
from vemetric.database.database import Database
from vemetric.model.account import Account
from vemetric.queues.keys import Keys

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
EMAIL, PASSWORD = "alice@example.com", "correct horse"
FIREFOX = logins.Browser("Firefox", "192.0.2.1")


@pytest.fixture
async def alice(database: Database, clock: FrozenClock) -> Account:
    return await signup.create_account(database, clock, EMAIL, PASSWORD, "Alice")


async def test_the_right_password_opens_a_login(
    database: Database, keys: Keys, clock: FrozenClock, alice: Account
) -> None:
    token, login = await logins.sign_in(database, keys, clock, " Alice@Example.com", PASSWORD, FIREFOX)
    assert await logins.by_token(database, clock, token) == (alice, login)
    assert (login.user_agent, login.ip, login.remember) == ("Firefox", "192.0.2.1", True)
    assert token not in repr(login)


@pytest.mark.parametrize(
    ("email", "password"),
    [(EMAIL, "wrong horse"), (EMAIL, ""), ("bob@example.com", PASSWORD), ("", ""), ("\ud800\x00", "\ud800\x00")],
)
async def test_anything_else_is_refused_alike(
    database: Database, keys: Keys, clock: FrozenClock, alice: Account, email: str, password: str
) -> None:
    with pytest.raises(errors.Unauthorized) as raised:
        await logins.sign_in(database, keys, clock, email, password, FIREFOX)
    assert raised.value.message == "The e-mail address or the password is wrong."
    assert await logins.of_account(database, clock, alice.id) == []


@pytest.mark.parametrize("token", ["", "x", "x" * 43, "x" * 10_000, "\ud800"])
async def test_no_other_text_is_a_login(database: Database, clock: FrozenClock, alice: Account, token: str) -> None:
    assert await logins.by_token(database, clock, token) is None


async def test_a_login_ends_a_week_after_its_last_use(
    database: Database, keys: Keys, clock: FrozenClock, alice: Account
) -> None:
    token, _ = await logins.sign_in(database, keys, clock, EMAIL, PASSWORD, FIREFOX)
    for _ in range(5):
        clock.advance(6 * DAY_MS)
        assert await logins.by_token(database, clock, token) is not None
    clock.advance(7 * DAY_MS)
    assert await logins.by_token(database, clock, token) is None


async def test_a_login_is_written_to_at_most_once_a_day(
    database: Database, keys: Keys, clock: FrozenClock, alice: Account
) -> None:
    token, opened = await logins.sign_in(database, keys, clock, EMAIL, PASSWORD, FIREFOX)
    clock.advance(DAY_MS - 1)
    assert await logins.by_token(database, clock, token) == (alice, opened)
    clock.advance(1)
    found = await logins.by_token(database, clock, token)
    assert found is not None
    assert found[1].used_at_ms == clock.now_ms()
    assert await logins.of_account(database, clock, alice.id) == [found[1]]


async def test_signing_out_ends_this_login_only(
    database: Database, keys: Keys, clock: FrozenClock, alice: Account
) -> None:
    here, login = await logins.sign_in(database, keys, clock, EMAIL, PASSWORD, FIREFOX)
    there, _ = await logins.sign_in(database, keys, clock, EMAIL, PASSWORD, FIREFOX, remember=False)
    await logins.sign_out(database, login)
    assert await logins.by_token(database, clock, here) is None
    assert await logins.by_token(database, clock, there) is not None


async def test_the_others_can_be_ended(database: Database, keys: Keys, clock: FrozenClock, alice: Account) -> None:
    opened = [await logins.sign_in(database, keys, clock, EMAIL, PASSWORD, FIREFOX) for _ in range(3)]
    assert await logins.revoke_others(database, opened[0][1]) == 2
    assert await logins.of_account(database, clock, alice.id) == [opened[0][1]]


async def test_nobody_ends_the_login_of_another(
    database: Database, keys: Keys, clock: FrozenClock, alice: Account
) -> None:
    bob = await signup.create_account(database, clock, "bob@example.com", PASSWORD)
    token, login = await logins.sign_in(database, keys, clock, EMAIL, PASSWORD, FIREFOX)
    assert not await logins.revoke(database, bob.id, login.id)
    assert await logins.by_token(database, clock, token) is not None


async def test_guessing_is_slowed_down(database: Database, keys: Keys, clock: FrozenClock, alice: Account) -> None:
    for _ in range(limits.LOGIN_ON_ACCOUNT.tries):
        with pytest.raises(errors.Unauthorized):
            await logins.sign_in(database, keys, clock, EMAIL, "wrong horse", FIREFOX)
    with pytest.raises(errors.TooManyRequests) as raised:
        await logins.sign_in(database, keys, clock, EMAIL, PASSWORD, FIREFOX)
    assert raised.value.retry_after_seconds == limits.LOGIN_ON_ACCOUNT.window_seconds
    # Somebody else, somewhere else, is not held up; nor is anybody after the wait.
    await logins.sign_in(database, keys, clock, EMAIL, PASSWORD, logins.Browser("Firefox", "192.0.2.2"))
    clock.advance(limits.LOGIN_ON_ACCOUNT.window_seconds * 1000)
    await logins.sign_in(database, keys, clock, EMAIL, PASSWORD, FIREFOX)


async def test_signing_in_rightly_is_not_slowed_down(
    database: Database, keys: Keys, clock: FrozenClock, alice: Account
) -> None:
    for _ in range(limits.LOGIN_ON_ACCOUNT.tries + 1):
        await logins.sign_in(database, keys, clock, EMAIL, PASSWORD, FIREFOX)


async def test_a_new_password_ends_every_login(
    database: Database, keys: Keys, clock: FrozenClock, alice: Account
) -> None:
    token, _ = await logins.sign_in(database, keys, clock, EMAIL, PASSWORD, FIREFOX)
    assert await logins.reset_password(database, clock, EMAIL.upper(), "battery staple") == alice
    assert await logins.by_token(database, clock, token) is None
    with pytest.raises(errors.Unauthorized):
        await logins.sign_in(database, keys, clock, EMAIL, PASSWORD, FIREFOX)
    await logins.sign_in(database, keys, clock, EMAIL, "battery staple", FIREFOX)


async def test_a_password_is_reset_of_an_account_only(database: Database, clock: FrozenClock, alice: Account) -> None:
    with pytest.raises(errors.NotFound):
        await logins.reset_password(database, clock, "bob@example.com", "battery staple")
    with pytest.raises(errors.Invalid):
        await logins.reset_password(database, clock, EMAIL, "short")


async def test_an_old_hash_is_made_anew_by_signing_in(
    database: Database, keys: Keys, clock: FrozenClock, alice: Account
) -> None:
    old = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    async with database.begin() as connection:
        await stored_accounts.set_password(connection, alice.id, old, clock.now_ms())
    await logins.sign_in(database, keys, clock, EMAIL, PASSWORD, FIREFOX)
    async with database.connect() as connection:
        assert await stored_accounts.password_hash(connection, alice.id) != old
    await logins.sign_in(database, keys, clock, EMAIL, PASSWORD, FIREFOX)


async def test_what_a_browser_calls_itself_cannot_break_the_login(
    database: Database, keys: Keys, clock: FrozenClock, alice: Account
) -> None:
    strange = logins.Browser("Fox\udcff" * 1000, "2001:db8::1")
    token, _ = await logins.sign_in(database, keys, clock, EMAIL, PASSWORD, strange)
    found = await logins.by_token(database, clock, token)
    assert found is not None
    assert len(found[1].user_agent) == 255
