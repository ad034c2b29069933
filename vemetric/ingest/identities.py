"""Which user an identifier stands for: a bounded cache over the identity table."""

from collections import OrderedDict

from vemetric.database import identities as stored_identities
from vemetric.database.database import Database
from vemetric.model import ids

CACHED_IDENTITIES_MAX = 50_000
# Longer ones are nobody's address or name; keeping them would only let a stranger fill the memory.
CACHED_CHARACTERS_MAX = 256


class Identities:
    """Identifier to user id. An identity never changes once it is made, so only found ones are cached."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cache: OrderedDict[tuple[int, str], int] = OrderedDict()

    async def by_identifier(self, project_id: int, identifier: str) -> int | None:
        """The user known by this identifier, or None."""
        cached = self._cache.get((project_id, identifier))
        if cached is not None:
            return cached
        async with self._database.connect() as connection:
            user_id = await stored_identities.by_identifier(connection, project_id, identifier)
        if user_id is not None:
            self._remember(project_id, identifier, user_id)
        return user_id

    async def of_backend(self, project_id: int, identifier: str, now_ms: int) -> int:
        """The user a server speaks of; made and kept when it is the first time. Of two racing requests one wins."""
        known = await self.by_identifier(project_id, identifier)
        if known is not None:
            return known
        async with self._database.begin() as connection:
            user_id = await stored_identities.insert_if_absent(
                connection, project_id, ids.new_user_id(), identifier, now_ms
            )
        self._remember(project_id, identifier, user_id)
        return user_id

    def _remember(self, project_id: int, identifier: str, user_id: int) -> None:
        if len(identifier) > CACHED_CHARACTERS_MAX:
            return
        self._cache[project_id, identifier] = user_id
        while len(self._cache) > CACHED_IDENTITIES_MAX:
            self._cache.popitem(last=False)
