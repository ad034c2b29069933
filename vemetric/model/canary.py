"""The canary: an event of our own every minute, which shows that the whole pipe works and how long it takes. It belongs
to a project that nobody has, so that no page and no count sees it.
"""

import msgspec

# No project gets this number: theirs are hashes.
PROJECT_ID = 1
USER_ID = 1
EVENT_NAME = "Canary"
KEY = "canary"
PERIOD_SECONDS = 60
# So long without an arrival means that events are not stored, or cannot be read.
STALLED_SECONDS = 200


class Flight(msgspec.Struct, frozen=True):
    """The last one that arrived: when, and how long after it was put; sent_ms: when the last one was put."""

    sent_ms: int
    arrived_ms: int = 0
    latency_ms: int = 0


def decode(stored: bytes) -> Flight:
    """What is kept under KEY."""
    return msgspec.json.decode(stored, type=Flight)


def is_stalled(flight: Flight | None, began_ms: int, now_ms: int) -> bool:
    """Whether nothing arrived for too long; began_ms: since when somebody waits for one."""
    last_ms = max(began_ms, 0 if flight is None else flight.arrived_ms)
    return now_ms - last_ms > STALLED_SECONDS * 1000
