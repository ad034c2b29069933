"""The secret of one UTC day in the hash that makes an anonymous visitor's user id."""

import msgspec


class Salt(msgspec.Struct, frozen=True):
    """`day` is YYYY-MM-DD in UTC; `value` is never empty."""

    day: str
    value: str
    created_at_ms: int
