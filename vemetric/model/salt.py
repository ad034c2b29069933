"""The secret of one UTC day in the hash that makes an anonymous visitor's user id."""

import msgspec


class Salt(msgspec.Struct, frozen=True):
    """`id` is the secret itself, never empty."""

    id: str
    created_at_ms: int
