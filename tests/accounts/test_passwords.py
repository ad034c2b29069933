"""Passwords: their bounds, their hashes."""

import argon2
import pytest

from vemetric.accounts import passwords


@pytest.mark.parametrize("password", ["x" * 8, "x" * 128, "pässword", "pass\ud800word", "        "])
async def test_a_password_is_known_again_by_its_hash(password: str) -> None:
    stored = await passwords.hashed(passwords.allowed(password))
    assert stored.startswith("$argon2id$")
    assert password not in stored
    assert await passwords.verify(password, stored)
    assert not await passwords.verify(password + "!", stored)
    assert not await passwords.verify("", stored)


@pytest.mark.parametrize("password", ["", "x" * 7, "x" * 129])
def test_too_short_and_too_long_ones_are_refused(password: str) -> None:
    with pytest.raises(ValueError, match="characters"):
        passwords.allowed(password)


async def test_nobody_has_a_password() -> None:
    assert not await passwords.verify("anything at all", None)


async def test_a_damaged_hash_fits_nothing() -> None:
    assert not await passwords.verify("anything at all", "$argon2id$damaged")


async def test_a_very_long_one_is_not_hashed() -> None:
    stored = await passwords.hashed("x" * 129)
    assert not await passwords.verify("x" * 129, stored)


async def test_equal_passwords_have_different_hashes() -> None:
    assert await passwords.hashed("password") != await passwords.hashed("password")


async def test_a_hash_of_other_parameters_is_outdated_but_good() -> None:
    old = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("password")
    assert await passwords.verify("password", old)
    assert passwords.is_outdated(old)
    assert not passwords.is_outdated(await passwords.hashed("password"))


def test_a_generated_one_is_allowed_and_new() -> None:
    assert passwords.allowed(passwords.generate()) != passwords.generate()
