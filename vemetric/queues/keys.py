"""Keys with a lifetime and counters: live sessions, locks, rate limits, the live tap. Same backends as the queue."""

from collections.abc import Sequence
from typing import Protocol

from vemetric.queues.job import KeySet


class Keys(Protocol):
    """Small values by key. An expired key is never returned."""

    async def get(self, key: str) -> bytes | None: ...

    async def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """The values of those keys that exist."""

    async def set(self, sets: Sequence[KeySet]) -> None: ...

    async def set_if_absent(self, key: str, value: bytes, expires_ms: int) -> bool:
        """True if the key did not exist (or had expired) and now holds the value: the one winner of a race."""

    async def count_up(self, key: str, expires_ms: int) -> tuple[int, int]:
        """Raise a count by one. The first sets when the key expires, then it starts anew; (count, expires_ms)."""

    async def delete(self, key: str, value: bytes | None = None) -> bool:
        """Delete; with `value`, only if the key still holds it (a lock is released by its owner only)."""

    async def scan(self, prefix: str, limit: int) -> list[tuple[str, bytes]]:
        """Live keys that start with the prefix, in key order."""

    async def add(self, counters: dict[str, int]) -> None:
        """Add to counters; a missing one starts at 0, and one that comes to 0 is gone."""

    async def counters(self, prefix: str) -> dict[str, int]:
        """Counters whose name starts with the prefix."""
