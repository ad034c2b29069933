"""A bounded memory of what a store said, each entry believed for a time. Used where several processes share a store."""

from collections import OrderedDict
from collections.abc import Set
from typing import Generic, TypeVar

from vemetric.clock import Clock

# Half of the second within which what one process changes is known to all: a busy machine needs some to answer.
BELIEVED_MS = 500

Key = TypeVar("Key")
Value = TypeVar("Value")


class Believed(Generic[Key, Value]):
    """At most `entries_max` entries; the oldest goes first. believed_ms: how long one is told, None for ever."""

    def __init__(self, clock: Clock, entries_max: int, believed_ms: int | None) -> None:
        self._clock = clock
        self._entries_max = entries_max
        self._believed_ms = believed_ms
        self._entries: OrderedDict[Key, tuple[Value, int]] = OrderedDict()

    def __len__(self) -> int:
        """How many entries there are, believed or not."""
        return len(self._entries)

    def get(self, key: Key) -> Value | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        value, told_ms = entry
        if self._believed_ms is not None and not 0 <= self._clock.now_ms() - told_ms < self._believed_ms:
            return None
        return value

    def among(self, keys: Set[Key]) -> Set[Key]:
        """Those of the keys that there is an entry of, believed or not."""
        return keys & self._entries.keys()

    def last(self, key: Key, held_ms: int) -> Value | None:
        """What was told so long ago at most, whether it is believed or not."""
        value, told_ms = self._entries.get(key, (None, 0))
        return value if 0 <= self._clock.now_ms() - told_ms < held_ms else None

    def put(self, key: Key, value: Value, told_ms: int) -> None:
        """told_ms: when the store was asked; what was changed since is not in the value."""
        self._entries[key] = value, told_ms
        while len(self._entries) > self._entries_max:
            self._entries.popitem(last=False)

    def pop(self, key: Key) -> Value | None:
        """Forget an entry; returns it, however old."""
        value, _ = self._entries.pop(key, (None, 0))
        return value
