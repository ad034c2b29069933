"""What a process counts of its own work since it began: plain numbers in memory, raised where the work is done and read
by /metrics and the operator's pages. Nothing here is done per hit but adding one to a number.
"""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Sequence

import msgspec

BATCH_BOUNDS = (1, 10, 50, 100, 500, 1_000, 2_500, 5_000, 10_000)
QUERY_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
LAG_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
SLOW_SECONDS = 0.5
SLOW_KEPT_MAX = 50
STATEMENT_CHARACTERS_MAX = 4_000


class Histogram:
    """Values counted by bucket; the last bucket is of those above all bounds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class OfQueue:
    """The work on one queue: jobs handled, and calls of its handler that failed."""

    def __init__(self) -> None:
        self.done = 0
        self.failed = 0
        self.batches = Histogram(BATCH_BOUNDS)


class Slow(msgspec.Struct, frozen=True):
    """A statement of the analytics store that took long. It holds no values: those are bound."""

    at_ms: int
    seconds: float
    kind: str
    statement: str


class Meters:
    """The counts of one process. queries: by what is done (query, lookup, insert, command), seconds each."""

    def __init__(self, started_ms: int) -> None:
        self.started_ms = started_ms
        self.queues: dict[str, OfQueue] = {}
        self.queries = {kind: Histogram(QUERY_BOUNDS) for kind in ("query", "lookup", "insert", "command")}
        self.query_failures: Counter[str] = Counter()
        self.slow: deque[Slow] = deque(maxlen=SLOW_KEPT_MAX)
        self.lag = Histogram(LAG_BOUNDS)

    def of_queue(self, queue: str) -> OfQueue:
        """The counts of a queue's work, made when first asked for."""
        return self.queues.setdefault(queue, OfQueue())

    def asked(self, kind: str, statement: str, seconds: float, now_ms: int) -> None:
        """Count a statement of the analytics store, and keep it if it took long."""
        self.queries[kind].observe(seconds)
        if seconds >= SLOW_SECONDS and kind != "command":
            self.slow.append(Slow(now_ms, seconds, kind, statement[:STATEMENT_CHARACTERS_MAX]))
