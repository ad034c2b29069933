"""Visitors who are spoken for: a name is on its way to them, or they turned out to be a known user (given away).

What a visitor did before a merge is another user's, and so is what comes late of that time. Whoever was given away is
therefore never given a name: what is done under the name, or was before, would go along. Used by identify.py.
"""

import hashlib
from collections.abc import Iterable
from enum import Enum, auto

from vemetric.clock import Clock
from vemetric.database import user_merges
from vemetric.database.database import Database
from vemetric.queues.job import KeySet
from vemetric.queues.keys import Keys

KEY_PREFIX = "spoken-for:"
# A worker finishes what another process has begun by then.
NAMING_MS = 600_000
# Until the merge is recorded, and at most as long as the visitor's hash lives.
GIVEN_MS = 48 * 3_600_000
# No name's digest.
GIVEN = b"given"


class Standing(Enum):
    """How it stands with a visitor who is known by no identifier."""

    FREE = auto()
    NAMED = auto()
    GIVEN = auto()


class SpokenFor:
    """Who is spoken for. To be asked, and told, by whoever has the visitor's turn; see identify.py.

    exclusive: no other process names visitors or gives them away, so a turn never ends before its holder is done.
    """

    def __init__(self, database: Database, keys: Keys, clock: Clock, *, exclusive: bool) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._exclusive = exclusive

    async def standing(self, project_id: int, user_id: int, identifier: str) -> Standing:
        """NAMED: on the way to another name than this one. GIVEN: a merge of the visitor is to come, or was."""
        value = await self._keys.get(_key(project_id, user_id))
        if value is not None and value not in (GIVEN, _digest(identifier)):
            return Standing.NAMED
        if value == GIVEN:
            return Standing.GIVEN
        async with self._database.connect() as connection:
            merges = await user_merges.of_users(connection, project_id, [user_id])
        return Standing.GIVEN if merges else Standing.FREE

    async def is_anybody(self, project_id: int, user_id: int) -> bool:
        """Whether the visitor has been identified, though it bears no name itself."""
        return await self.standing(project_id, user_id, "") is not Standing.FREE

    async def name(self, project_id: int, user_id: int, identifier: str) -> bool:
        """Note that the visitor is on the way to this name; False if it is spoken for otherwise."""
        return await self._is_first(project_id, user_id, _digest(identifier), NAMING_MS, (_digest(identifier),))

    async def may_name(self, project_id: int, user_id: int, identifier: str) -> bool:
        """As `name`, where another process may do so at the same time: its turn may have ended before it was done."""
        return self._exclusive or await self.name(project_id, user_id, identifier)

    async def may_give(self, project_id: int, user_id: int, identifier: str) -> bool:
        """Whether the visitor may be given to the user known by the identifier: it is on the way to no other name."""
        if self._exclusive:
            return await self.standing(project_id, user_id, identifier) is not Standing.NAMED
        return await self._is_first(project_id, user_id, GIVEN, GIVEN_MS, (GIVEN, _digest(identifier)))

    def given(self, project_id: int, user_id: int) -> KeySet:
        """That a visitor is given away: to write with, or before, the job that merges."""
        return KeySet(_key(project_id, user_id), GIVEN, self._clock.now_ms() + GIVEN_MS)

    async def _is_first(
        self, project_id: int, user_id: int, value: bytes, kept_ms: int, agreed: tuple[bytes, ...]
    ) -> bool:
        key = _key(project_id, user_id)
        if await self._keys.set_if_absent(key, value, self._clock.now_ms() + kept_ms):
            return True
        found = await self._keys.get(key)
        return found is None or found in agreed


def recorded(users: Iterable[tuple[int, int]]) -> list[KeySet]:
    """What to write once merges of these visitors (project id, user id) are recorded, which tells the same for ever."""
    return [KeySet(_key(project_id, user_id), b"", 1) for project_id, user_id in sorted(set(users))]


def key_prefix(project_id: int) -> str:
    """What the keys of all of a project's visitors begin with."""
    return f"{KEY_PREFIX}{project_id}:"


def _key(project_id: int, user_id: int) -> str:
    return f"{key_prefix(project_id)}{user_id}"


def _digest(identifier: str) -> bytes:
    """Not the name itself: nobody erases this key before its time."""
    return hashlib.blake2b(identifier.encode(), digest_size=16).hexdigest().encode()
