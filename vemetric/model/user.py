"""What a site tells us about a user, and how it is merged into what we know.

Decoded by the hub inside its bodies; merged by workers/user_rows.py.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType


class UserData(msgspec.Struct, frozen=True, rename="camel"):
    """A change of a user's data. A key may be absent, never null; unknown keys are dropped when it is decoded."""

    set: dict[str, Any] | UnsetType = UNSET
    set_once: dict[str, Any] | UnsetType = UNSET
    unset: list[str] | UnsetType = UNSET


def merge(existing: Mapping[str, Any], data: UserData | None) -> dict[str, Any]:
    """The user's data after a change: `set` beats what exists, what exists beats `set_once`, `unset` beats all.

    Shallow: a key holds a whole value, a dot in it has no meaning, and null, '', 0 and false count as existing.
    """
    if data is None:
        return dict(existing)
    merged = {} if data.set_once is UNSET else dict(data.set_once)
    merged.update(existing)
    if data.set is not UNSET:
        merged.update(data.set)
    if data.unset is not UNSET:
        for key in data.unset:
            merged.pop(key, None)
    return merged
