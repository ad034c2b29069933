"""What a store says of itself, as the operator sees it."""

import msgspec


class StoreFacts(msgspec.Struct, frozen=True):
    """kind: what it is called. size: bytes on disk, or of memory. more: what else it tells, by name, as text."""

    kind: str
    version: str
    size: int
    more: dict[str, str] = {}
