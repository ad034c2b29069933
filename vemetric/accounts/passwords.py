"""Passwords: what is allowed, how they are hashed and checked. Used by signup.py and logins.py."""

import asyncio
import functools
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

LENGTH_MIN = 8
LENGTH_MAX = 128
GENERATED_BYTES = 15

# Argon2id: 32 MiB and about 50 ms of one core a hash. One thread, so that logins never take more memory than one
# hash needs and never more than one core from ingestion.
MEMORY_KIB = 32 * 1024
TIME_COST = 2
HASHES_AT_ONCE = 1

Answer = TypeVar("Answer")

_hasher = PasswordHasher(time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=1, type=Type.ID)
_threads = ThreadPoolExecutor(max_workers=HASHES_AT_ONCE, thread_name_prefix="password")


def allowed(password: str) -> str:
    """The password itself, if it may be used; raises ValueError with what is wrong."""
    if len(password) < LENGTH_MIN:
        raise ValueError(f"Use at least {LENGTH_MIN} characters.")
    if len(password) > LENGTH_MAX:
        raise ValueError(f"Use at most {LENGTH_MAX} characters.")
    return password


def generate() -> str:
    """A random password to hand to a person."""
    return secrets.token_urlsafe(GENERATED_BYTES)


async def hashed(password: str) -> str:
    """The hash of a password, to be stored."""
    return await _in_thread(_hash, password)


async def verify(password: str, stored_hash: str | None) -> bool:
    """Whether the password belongs to the hash. Without a hash it takes just as long and is False."""
    if len(password) > LENGTH_MAX:
        return False
    return await _in_thread(_verify, password, stored_hash)


def is_outdated(stored_hash: str) -> bool:
    """Whether the hash was made with other parameters than those in use now."""
    return _hasher.check_needs_rehash(stored_hash)


async def _in_thread(function: Callable[..., Answer], *arguments: str | None) -> Answer:
    return await asyncio.get_running_loop().run_in_executor(_threads, function, *arguments)


def _hash(password: str) -> str:
    return _hasher.hash(_encoded(password))


def _verify(password: str, stored_hash: str | None) -> bool:
    try:
        _hasher.verify(stored_hash or _hash_of_nobody(), _encoded(password))
    except (VerificationError, InvalidHashError):
        return False
    return stored_hash is not None


@functools.cache
def _hash_of_nobody() -> str:
    return _hash(generate())


def _encoded(password: str) -> bytes:
    """Its UTF-8; half a surrogate pair, which a form cannot send but a program can, is kept as it is."""
    return password.encode("utf-8", "surrogatepass")
