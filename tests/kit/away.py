"""Keys of a store that is away at moments of a test's choice, to be handed on in place of the store's own."""

from collections.abc import Callable, Sequence
from typing import Any

from vemetric import errors
from vemetric.queues.job import KeySet
from vemetric.queues.keys import Keys


class Away:
    """The store's keys, but for what is set while `is_away` says so of it."""

    def __init__(self, keys: Keys, is_away: Callable[[Sequence[KeySet]], bool]) -> None:
        self._keys = keys
        self._is_away = is_away

    def __getattr__(self, name: str) -> Any:
        return getattr(self._keys, name)

    async def set(self, sets: Sequence[KeySet]) -> None:
        if self._is_away(sets):
            raise errors.Unavailable("It is away.")
        await self._keys.set(sets)
