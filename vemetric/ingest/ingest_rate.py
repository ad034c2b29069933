"""An optional limit of requests per address and minute, off by default: a shared address is many visitors."""

from vemetric.clock import Clock

MINUTE_MS = 60_000
ADDRESSES_MAX = 100_000


class IngestRate:
    """Counts of the running minute, per process. limit 0: everything is allowed."""

    def __init__(self, limit: int, clock: Clock, addresses_max: int = ADDRESSES_MAX) -> None:
        self._limit = limit
        self._clock = clock
        self._addresses_max = addresses_max
        self._minute = -1
        self._counts: dict[str, int] = {}

    def allow(self, ip: str) -> bool:
        """Count a request; False when its address had its share. Past the bound of addresses new ones are let in."""
        if not self._limit:
            return True
        minute = self._clock.now_ms() // MINUTE_MS
        if minute != self._minute:
            self._minute = minute
            self._counts.clear()
        count = self._counts.get(ip, 0)
        if count or len(self._counts) < self._addresses_max:
            self._counts[ip] = count + 1
        return count < self._limit
