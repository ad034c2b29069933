"""Visitors without cookies who said that they leave (/r): whoever comes next from their address and browser is new.

Without this, all who share a computer or a network would be credited to whoever was identified there first that day.
"""

from collections.abc import Collection

from vemetric.clock import Clock
from vemetric.ingest.believed import BELIEVED_MS, Believed
from vemetric.queues.job import KeySet
from vemetric.queues.keys import Keys

RESETS_MAX = 100_000
# The hash of a visitor is made with a secret of the day, and of the day before: afterwards nobody has it any more.
KEPT_MS = 48 * 3_600_000
KEY_PREFIX = "reset:"


class Resets:
    """Who stands in the place of a visitor's hash.

    `must_read` says that other processes reset too: then only what `read` answers tells of everybody.
    """

    def __init__(self, keys: Keys, clock: Clock, *, exclusive: bool) -> None:
        self.must_read = not exclusive
        self._keys = keys
        self._clock = clock
        self._users: Believed[str, int] = Believed(clock, RESETS_MAX, None if exclusive else BELIEVED_MS)

    async def load(self) -> None:
        """Take into memory who was reset before this process began."""
        if not self.must_read:
            now_ms = self._clock.now_ms()
            for name, value in await self._keys.scan(KEY_PREFIX, RESETS_MAX):
                self._users.put(name, int(value), now_ms)

    async def read(self, project_id: int, visitor_ids: Collection[int]) -> dict[int, int]:
        """Who stands in these visitors' places, by visitor: the visitor itself where nobody else does."""
        visitors = {_key(project_id, visitor_id): visitor_id for visitor_id in visitor_ids}
        now_ms = self._clock.now_ms()
        known = {name: user_id for name in visitors if (user_id := self._users.get(name)) is not None}
        unknown = [name for name in visitors if name not in known]
        found = await self._keys.get_many(unknown) if unknown else {}
        for name in unknown:
            known[name] = int(found.get(name, visitors[name]))
            self._users.put(name, known[name], now_ms)
        return {visitors[name]: user_id for name, user_id in known.items()}

    def at_once(self, project_id: int, visitor_id: int) -> int | None:
        """Who stands in the place of the visitor; None if that is the visitor, or has to be read."""
        return self._users.get(_key(project_id, visitor_id))

    def known(self, project_id: int, visitor_ids: Collection[int]) -> dict[int, int]:
        """Who stands in these visitors' places as far as memory tells; without those of whom it tells nothing."""
        if not self._users:
            # As nearly always: hardly anybody says that they leave.
            return {}
        told = ((visitor_id, self.at_once(project_id, visitor_id)) for visitor_id in visitor_ids)
        return {visitor_id: user_id for visitor_id, user_id in told if user_id}

    async def reset(self, project_id: int, visitor_ids: Collection[int], user_id: int) -> None:
        """From now on these visitors are somebody else. Durable when this returns."""
        names = [_key(project_id, visitor_id) for visitor_id in visitor_ids]
        now_ms = self._clock.now_ms()
        await self._keys.set([KeySet(name, str(user_id).encode(), now_ms + KEPT_MS) for name in names])
        for name in names:
            self._users.put(name, user_id, now_ms)


def _key(project_id: int, visitor_id: int) -> str:
    return f"{KEY_PREFIX}{project_id}:{visitor_id}"
