"""Tells whether many writes come, for which the journal is worth its second sync. Used by journal_line.py."""

from collections.abc import Callable
from typing import Final

# So many writes a second, counted over so long, are a crowd. It is over when there was none for a while.
CROWD_PER_SECOND: Final = 200
COUNT_SECONDS: Final = 0.25
QUIET_SECONDS: Final = 60.0


class Crowd:
    """Counts writes. time(): in seconds, rising. per_second: 0 makes every write a crowd."""

    def __init__(self, time: Callable[[], float], per_second: float) -> None:
        self.per_second = per_second
        self._time = time
        self._counted = 0
        self._counts_until = time() + (COUNT_SECONDS if per_second else 0)
        self._crowded_at = 0.0

    def count(self) -> bool | None:
        """Count a write. True if a crowd is here, False if it is over, None if there is nothing new to say."""
        self._counted += 1
        now = self._time()
        if now < self._counts_until:
            return None
        per_second = self._counted / (now - self._counts_until + COUNT_SECONDS)
        self._counted = 0
        self._counts_until = now + COUNT_SECONDS
        if per_second >= self.per_second:
            self._crowded_at = now
            return True
        return False if now - self._crowded_at >= QUIET_SECONDS else None
