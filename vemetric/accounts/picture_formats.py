"""JPEG, PNG and WebP: what a file is, and the same picture without what it tells about its maker (place, camera).

The pixels stay as they are, so that no decoder of pictures is needed here. Anything unusual is refused.
"""

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

SIDE_MAX = 6000

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_KEPT = frozenset((b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT"))
WEBP_KEPT = frozenset((b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP", b"ANIM", b"ANMF"))
WEBP_TELLING_FLAGS = 0x08 | 0x04

JPEG_START, JPEG_END = 0xD8, 0xD9
JPEG_SCAN, JPEG_APP0, JPEG_APP1, JPEG_APP2, JPEG_APP14, JPEG_APP15, JPEG_COMMENT = (
    *(0xDA, 0xE0, 0xE1, 0xE2, 0xEE, 0xEF),
    0xFE,
)
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
ORIENTATION = 0x0112
# What ends the data of a scan: any marker but an escaped 0xFF and the restarts within it.
_AFTER_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7]")


class Picture(NamedTuple):
    """A picture that may be kept and shown."""

    extension: str
    content_type: str
    content: bytes


def read(content: bytes) -> Picture:
    """The picture in a file, without what it tells beside its pixels; raises ValueError with what is wrong."""
    for start, (extension, clean) in FORMATS.items():
        if content.startswith(start) and (extension != "webp" or content[8:12] == b"WEBP"):
            try:
                width, height, cleaned = clean(content)
            except (struct.error, IndexError, KeyError) as error:
                raise ValueError("This picture is damaged.") from error
            if not (0 < width <= SIDE_MAX and 0 < height <= SIDE_MAX):
                raise ValueError(f"Use a picture of at most {SIDE_MAX} pixels a side.")
            return Picture(extension, CONTENT_TYPES[extension], cleaned)
    raise ValueError("This is not a JPEG, PNG or WebP picture.")


def clean_png(content: bytes) -> tuple[int, int, bytes]:
    """Width, height and content of a PNG with only the chunks that draw it."""
    kept, place, kind = [PNG_START], len(PNG_START), b""
    while kind != b"IEND":
        (length,) = struct.unpack_from(">I", content, place)
        kind, end = content[place + 4 : place + 8], place + 12 + length
        if end > len(content):
            raise IndexError(kind)
        if kind in PNG_KEPT:
            kept.append(content[place:end])
        place = end
    if kept[1][4:8] != b"IHDR":
        raise KeyError("IHDR")
    width, height = struct.unpack_from(">II", kept[1], 8)
    return width, height, b"".join(kept)


def clean_webp(content: bytes) -> tuple[int, int, bytes]:
    """Width, height and content of a WebP with only the chunks that draw it."""
    kept, place, size = [], 12, None
    while place + 8 <= len(content):
        kind, length = content[place : place + 4], struct.unpack_from("<I", content, place + 4)[0]
        data = bytearray(content[place + 8 : place + 8 + length])
        if len(data) != length:
            raise IndexError(kind)
        if kind in WEBP_KEPT:
            size = size or _webp_size(kind, bytes(data))
            if kind == b"VP8X":
                data[0] &= ~WEBP_TELLING_FLAGS
            kept.append(kind + struct.pack("<I", length) + bytes(data) + b"\0" * (length % 2))
        place += 8 + length + length % 2
    if size is None:
        raise KeyError("VP8")
    body = b"WEBP" + b"".join(kept)
    return *size, b"RIFF" + struct.pack("<I", len(body)) + body


def _webp_size(kind: bytes, data: bytes) -> tuple[int, int] | None:
    if kind == b"VP8X":
        return 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 1)[0]
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return None


def clean_jpeg(content: bytes) -> tuple[int, int, bytes]:
    """Width, height and content of a JPEG with only the segments that draw it, and which side is up."""
    size, turned = (0, 0), b""
    kept = [content[:2]]
    for marker, segment in _jpeg_segments(content):
        if marker in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", segment, 5)
            size = width, height
        if marker == JPEG_APP1:
            turned = turned or _orientation_segment(segment[4:])
        elif not (JPEG_APP0 < marker <= JPEG_APP15 or marker == JPEG_COMMENT) or marker in (JPEG_APP2, JPEG_APP14):
            kept.append(segment)
    return *size, b"".join([kept[0], turned, *kept[1:]])


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Each segment with its marker; that of a scan has the scan's data. What follows the end is left out."""
    place = 2
    while True:
        if content[place] != 0xFF:
            raise KeyError(place)
        marker = content[place + 1]
        if marker == JPEG_END:
            yield marker, content[place : place + 2]
            return
        end = place + 2 + struct.unpack_from(">H", content, place + 2)[0]
        if end > len(content):
            raise IndexError(marker)
        if marker == JPEG_SCAN:
            found = _AFTER_SCAN.search(content, end)
            end = len(content) if found is None else found.start()
        yield marker, content[place:end]
        place = end


def _orientation_segment(exif: bytes) -> bytes:
    """A segment that says only which side is up; nothing where it is up already."""
    if not exif.startswith(b"Exif\0\0"):
        return b""
    tiff = exif[6:]
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return b""
    (place,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, place)
    for number in range(count):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, place + 2 + 12 * number)
        if tag == ORIENTATION and 1 < value <= 8:
            body = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, ORIENTATION, 3, 1, value, 0, 0)
            return struct.pack(">BBH", 0xFF, JPEG_APP1, len(body) + 2) + body
    return b""


FORMATS: dict[bytes, tuple[str, Callable[[bytes], tuple[int, int, bytes]]]] = {
    b"\xff\xd8\xff": ("jpg", clean_jpeg),
    PNG_START: ("png", clean_png),
    b"RIFF": ("webp", clean_webp),
}
CONTENT_TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}
