"""Unpack the bodies of requests. The HTTP library is told not to: it ends the connection over a coding unknown to it.

Used by hub.py for hits, and through it by the API.
"""

import zlib

from vemetric.ingest.refuse import Refusal
from vemetric.web.hub_answers import Refused

GZIP_BITS, ZLIB_BITS, RAW_BITS = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS
# The lower half of the first byte of a body that says how it was deflated; some senders leave that out.
DEFLATED = 8


def unpacked(body: bytes, coding: str, bytes_max: int) -> bytes:
    """The body as it was before its sender packed it. Raises Refused: an unknown coding, broken, or larger than bound.

    coding: the header Content-Encoding.
    """
    coding = coding.strip().lower()
    if coding in ("", "identity"):
        return body
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise Refused(Refusal.MALFORMED, 415, "Unsupported Content-Encoding: send it plain, or as gzip")
    unpacker = zlib.decompressobj(_bits(body) if coding == "deflate" else GZIP_BITS)
    try:
        plain = unpacker.decompress(body, bytes_max + 1)
    except zlib.error:
        plain = b""
    if len(plain) > bytes_max:
        raise Refused(Refusal.TOO_LARGE, 413, "Payload Too Large")
    # One that breaks off, or goes on behind its end, is not what was sent.
    if not unpacker.eof or unpacker.unused_data:
        raise Refused(Refusal.MALFORMED, 400, "Malformed JSON in request body")
    return plain


def _bits(body: bytes) -> int:
    return ZLIB_BITS if body[:1] and body[0] & 15 == DEFLATED else RAW_BITS
