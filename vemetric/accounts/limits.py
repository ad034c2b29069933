"""How often something may be tried. Each try takes one of a few slots, which is free again after a while.

That makes a sliding window without a clock of its own: in any `window_seconds` at most `limit` tries pass, whichever
process they reach.
"""

import hashlib

from vemetric import errors
from vemetric.clock import Clock
from vemetric.queues.keys import Keys

KEY_PREFIX = "limit:"
DIGEST_BYTES = 16


async def take(keys: Keys, clock: Clock, name: str, limit: int, window_seconds: int) -> str:
    """Take a slot of what `name` says ("sign-in:192.0.2.1"); raises TooManyRequests when all are taken.

    Returns the slot, for give_back. The name is kept only as a digest: it may hold an address.
    """
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).hexdigest()
    expires_ms = clock.now_ms() + window_seconds * 1000
    for number in range(limit):
        slot = f"{KEY_PREFIX}{digest}:{number}"
        if await keys.set_if_absent(slot, b"1", expires_ms):
            return slot
    raise errors.TooManyRequests("Too many attempts; please wait a moment.", retry_after_seconds=window_seconds)


async def give_back(keys: Keys, slot: str) -> None:
    """Free a slot before its time: the try was a good one and shall not count."""
    await keys.delete(slot)
