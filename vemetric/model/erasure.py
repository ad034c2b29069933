"""What is to be erased from the analytics store: put by accounts/removal.py, done by workers/erase.py."""

import msgspec

ERASE_QUEUE = "erase"
# What was accepted before is stored by then, and is erased too.
DELAY_MS = 60_000


class Erasure(msgspec.Struct, array_like=True, frozen=True):
    """Everything of a project that is gone; with user ids, everything of these users of one that is not.

    unseen_since_ms: only of those users of whom nothing was heard since (ms); 0 for all of them.
    """

    project_id: int
    user_ids: tuple[int, ...] = ()
    unseen_since_ms: int = 0


def encode(erasure: Erasure) -> bytes:
    return msgspec.msgpack.encode(erasure)


def decode(payload: bytes) -> Erasure:
    return msgspec.msgpack.decode(payload, type=Erasure)
