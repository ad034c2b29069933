"""How often something may be tried. Each try takes one of a few slots, which is free again after a while.

That makes a sliding window without a clock of its own: in any `window_seconds` at most `limit` tries pass, whichever
process they reach.
"""

import hashlib
import ipaddress
from typing import NamedTuple

from vemetric import errors
from vemetric.clock import Clock
from vemetric.queues.keys import Keys

KEY_PREFIX = "limit:"
DIGEST_BYTES = 16
# Whoever has one IPv6 address has all of its network.
IPV6_NETWORK_BITS = 64


class Limit(NamedTuple):
    """So many tries in so many seconds, of one address, account or whatever a name says."""

    name: str
    tries: int
    window_seconds: int


SET_UP = Limit("set-up", 10, 60)
# Failed attempts: from one address, and from one address on one account.
LOGIN = Limit("sign-in", 30, 60)
LOGIN_ON_ACCOUNT = Limit("sign-in-account", 10, 60)
SIGN_UP = Limit("sign-up", 5, 60)
RESET = Limit("reset", 3, 60)
CODE = Limit("code", 10, 60)
# Ways to a service that one signs in with that have not led in: each asks it for something, and is kept for a while.
SERVICE = Limit("service", 10, 60)
# Letters that somebody without a login can have sent: from one address, and to one.
LETTERS = Limit("letters", 3, 60)
LETTERS_TO_ADDRESS = Limit("letters-to", 1, 300)
# What an account has asked of the service that bills.
BILLING = Limit("billing", 10, 60)
# Letters with invitations, of one account.
INVITATIONS = Limit("invitations", 20, 3600)
# Passwords and other proofs that somebody with a login is asked for.
PROOF = Limit("proof", 10, 60)


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


async def take_for(keys: Keys, clock: Clock, limit: Limit, whom: str) -> str:
    """Take a slot of a limit for somebody, an address or another name; as take."""
    return await take(keys, clock, f"{limit.name}:{network_of(whom)}", limit.tries, limit.window_seconds)


async def allows(keys: Keys, clock: Clock, limit: Limit, whom: str) -> bool:
    """Take a slot of a limit, if one is free; where nobody shall see whether one was."""
    try:
        await take_for(keys, clock, limit, whom)
    except errors.TooManyRequests:
        return False
    return True


def network_of(whom: str) -> str:
    """The network that an IPv6 address stands for; anything else as it is."""
    try:
        address = ipaddress.IPv6Address(whom)
    except ValueError:
        return whom
    return str(ipaddress.IPv6Network((address, IPV6_NETWORK_BITS), strict=False))


async def give_back(keys: Keys, slot: str) -> None:
    """Free a slot before its time: the try was a good one and shall not count."""
    await keys.delete(slot)
