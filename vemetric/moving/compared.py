"""What a copy is held to: so many rows, and a sum over what they say that does not depend on their order."""

import hashlib
from collections.abc import Iterable

import msgspec

SUM_BITS = 64


class Compared(msgspec.Struct, frozen=True):
    """One table, equal on both sides. checksum: of its rows, in hexadecimal digits."""

    store: str
    table: str
    rows: int
    checksum: str


class Fingerprint(msgspec.Struct):
    """Count and sum of rows that are read one after the other."""

    rows: int = 0
    total: int = 0

    def add(self, rows: Iterable[object]) -> None:
        for row in rows:
            digest = hashlib.blake2b(
                msgspec.msgpack.encode(row, order="deterministic"), digest_size=SUM_BITS // 8
            ).digest()
            self.rows += 1
            self.total = (self.total + int.from_bytes(digest, "big")) % (1 << SUM_BITS)

    @property
    def checksum(self) -> str:
        return hexadecimal(self.total)


def hexadecimal(total: int) -> str:
    return f"{total:0{SUM_BITS // 4}x}"
