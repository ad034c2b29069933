"""API keys: `vem_` and 32 random characters, for one project, to read or to send. An admin makes and revokes them."""

import re
import secrets
import string

from vemetric import errors
from vemetric.accounts import fields, tokens
from vemetric.clock import Clock
from vemetric.database import api_keys as stored
from vemetric.database.database import Database
from vemetric.model import ids
from vemetric.model.account import Account
from vemetric.model.api_key import ApiKey, Scope

PREFIX = "vem_"
RANDOM_LENGTH = 32
LENGTH = len(PREFIX) + RANDOM_LENGTH
ALPHABET = string.ascii_lowercase + string.digits
SHOWN_LENGTH = 12
ID_PREFIX = "key_"
NAME_LENGTH_MAX = 100
KEYS_MAX = 50
# A use is noted when the last one noted is so old: not with every request.
USE_NOTED_MS = 60_000

# Only length and beginning are looked at before the store is asked.
_FORMAT = re.compile(rf"{PREFIX}.{{{RANDOM_LENGTH}}}", re.DOTALL)


async def create(
    database: Database, clock: Clock, project_id: int, by: Account, name: str, scope: Scope = Scope.READ
) -> tuple[str, ApiKey]:
    """Make a key; returns what it opens with, which cannot be had again. Raises Invalid for the name, Conflict."""
    typed = fields.clean(name=(_name, name))
    text = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    key = ApiKey(
        id=ID_PREFIX + ids.random_id(ids.ROW_ID_LENGTH),
        project_id=project_id,
        name=typed["name"],
        prefix=f"{text[:SHOWN_LENGTH]}...",
        created_at_ms=clock.now_ms(),
        created_by=by.name,
        scope=scope,
    )
    async with database.begin() as connection:
        await connection.lock(f"api-keys:{project_id}")
        working = [one for one in await stored.of_project(connection, project_id) if one.revoked_at_ms is None]
        if len(working) >= KEYS_MAX:
            raise errors.Conflict(f"A project can have {KEYS_MAX} keys; revoke one first.")
        await stored.create(connection, key, tokens.hashed(text), by.id)
    return text, key


def has_format(text: str) -> bool:
    """Whether the text could be a key at all."""
    return _FORMAT.fullmatch(text) is not None


async def by_key(database: Database, clock: Clock, text: str) -> ApiKey | None:
    """The key that opens with this text, and note its use; None for one that is unknown or revoked."""
    if not has_format(text):
        return None
    now_ms = clock.now_ms()
    async with database.connect() as connection:
        key = await stored.by_hash(connection, tokens.hashed(text))
    if key is not None and now_ms - (key.last_used_at_ms or 0) >= USE_NOTED_MS:
        async with database.begin() as connection:
            await stored.note_use(connection, key.id, now_ms)
    return key


async def of_project(database: Database, project_id: int) -> list[ApiKey]:
    """The project's keys, revoked ones included, the newest first."""
    async with database.connect() as connection:
        return await stored.of_project(connection, project_id)


async def revoke(database: Database, clock: Clock, project_id: int, key_id: str, by: Account) -> None:
    """End a key of the project at once. Raises NotFound when it has no such key that works."""
    async with database.begin() as connection:
        if not await stored.revoke(connection, project_id, key_id, by.id, clock.now_ms()):
            raise errors.NotFound


def _name(text: str) -> str:
    cleaned = " ".join(text.split())
    if not 1 <= len(cleaned) <= NAME_LENGTH_MAX:
        raise ValueError(f"Use 1 to {NAME_LENGTH_MAX} characters.")
    return cleaned
