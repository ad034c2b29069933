"""Bodies that were packed by their sender: what is known is unpacked within a bound, all else is told so."""

import gzip
import zlib
from collections.abc import Callable

import pytest

from vemetric.web.hub_answers import Refused
from vemetric.web.packed import unpacked

BODY = b'{"name": "a"}' * 100
RAW = zlib.compressobj(wbits=-zlib.MAX_WBITS)
DEFLATED_RAW = RAW.compress(BODY) + RAW.flush()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("", BODY),
        (" Identity ", BODY),
        # Without the time: the processes that share the tests must name them alike.
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("X-GZip", gzip.compress(BODY, mtime=0)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", DEFLATED_RAW),
    ],
    ids=["none", "identity", "gzip", "x-gzip", "deflate", "raw"],
)
def test_what_is_known_is_unpacked_up_to_the_bound(coding: str, packed: bytes) -> None:
    assert unpacked(packed, coding, len(BODY)) == BODY
    if coding.strip().lower() not in ("", "identity"):
        assert refused(packed, coding, len(BODY) - 1) == 413


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip,br", "gzip, gzip", "\x00", "x" * 5_000])
def test_what_is_unknown_is_told_so(coding: str) -> None:
    assert refused(gzip.compress(BODY), coding, 10_000) == 415


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
@pytest.mark.parametrize("damage", [lambda packed: packed[:-1], lambda packed: packed + b"x", lambda packed: b""])
def test_what_is_damaged_is_refused(pack: Callable[[bytes], bytes], damage: Callable[[bytes], bytes]) -> None:
    coding = "gzip" if pack is gzip.compress else "deflate"
    assert refused(damage(pack(BODY)), coding, 10_000) == 400


def test_what_unpacks_to_gigabytes_is_refused_at_the_bound() -> None:
    assert refused(gzip.compress(b" " * 50_000_000), "gzip", 10_000) == 413


def refused(body: bytes, coding: str, bytes_max: int) -> int:
    with pytest.raises(Refused) as found:
        unpacked(body, coding, bytes_max)
    return found.value.status
