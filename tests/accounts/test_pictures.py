"""Pictures: what is one, and that nothing but the picture is kept of a file."""

import struct
import zlib

import pytest

from vemetric.accounts import picture_formats
from vemetric.accounts.picture_formats import SIDE_MAX

PLACE = b"GPS 48.2082 N 16.3738 E"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def a_png(width: int = 2, height: int = 2, more: bytes = b"") -> bytes:
    rows = b"".join(b"\0" + b"\x10\x60\x80" * width for _ in range(min(height, 2)))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"") + b"trailer"


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def exif(orientation: int, order: str = "<") -> bytes:
    """What a camera writes: which side is up, and where it was."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(f"{order}HHHIHH", 2, 0x0112, 3, 1, orientation, 0)
    entries += struct.pack(f"{order}HHII", 0x8825, 4, 1, 38) + struct.pack(f"{order}I", 0)
    return segment(0xE1, b"Exif\0\0" + head + struct.pack(f"{order}I", 8) + entries + PLACE)


def a_jpeg(more: bytes = b"", width: int = 3, height: int = 2) -> bytes:
    frame = segment(0xC0, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")
    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\xff\x00\x34\xff\xd0\x56"
    app0 = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    second = segment(0xC4, b"\0" * 17) + segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x99"
    return b"\xff\xd8" + app0 + more + frame + scan + second + b"\xff\xd9" + PLACE


def a_webp(kind: bytes, data: bytes, *more: tuple[bytes, bytes]) -> bytes:
    chunks = b"".join(
        name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
        for name, content in ((kind, data), *more)
    )
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks


def test_a_png_loses_what_it_tells() -> None:
    told = chunk(b"tEXt", PLACE) + chunk(b"eXIf", PLACE) + chunk(b"acTL", b"\0" * 8)
    picture = picture_formats.read(a_png(more=told + chunk(b"gAMA", b"\0\0\xb1\x8f")))
    assert (picture.extension, picture.content_type) == ("png", "image/png")
    assert picture.content == a_png(more=chunk(b"gAMA", b"\0\0\xb1\x8f")).removesuffix(b"trailer")


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_jpeg_loses_what_it_tells_but_which_side_is_up(order: str) -> None:
    told = exif(6, order) + segment(0xED, PLACE) + segment(0xFE, PLACE)
    picture = picture_formats.read(a_jpeg(told + segment(0xE2, b"ICC_PROFILE\0")))
    assert PLACE not in picture.content
    assert b"ICC_PROFILE" in picture.content
    assert picture.content.endswith(b"\x99\xff\xd9")
    assert b"\x12\xff\x00\x34\xff\xd0\x56" in picture.content
    assert picture.content[2:6] == b"\xff\xe1\x00\x22"
    assert struct.unpack_from("<H", picture.content, 6 + 6 + 8 + 2 + 8) == (6,)
    assert picture_formats.read(picture.content).content == picture.content


def test_a_scan_full_of_escaped_bytes_is_read_once() -> None:
    """Four million bytes of them would take minutes, were the rest of the file looked at anew for each."""
    file = a_jpeg().replace(b"\x12\xff\x00\x34", b"\x12" + b"\xff\x00" * 2_000_000 + b"\x34")
    assert picture_formats.read(file).content == file.removesuffix(PLACE)


def test_a_jpeg_that_is_up_has_no_such_segment() -> None:
    assert picture_formats.read(a_jpeg(exif(1))).content == a_jpeg().removesuffix(PLACE)


def test_a_webp_loses_what_it_tells() -> None:
    extended = bytes([0x08 | 0x04 | 0x10, 0, 0, 0]) + (99).to_bytes(3, "little") + (49).to_bytes(3, "little")
    image = (b"VP8L", b"\x2f" + struct.pack("<I", 99 | 49 << 14) + b"x")
    picture = picture_formats.read(a_webp(b"VP8X", extended, image, (b"EXIF", PLACE), (b"XMP ", PLACE)))
    assert PLACE not in picture.content
    assert picture.content[20] == 0x10
    assert picture.content == a_webp(b"VP8X", bytes([0x10]) + extended[1:], image)


@pytest.mark.parametrize(
    "content",
    [
        a_webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 100, 50)),
        a_webp(b"VP8L", b"\x2f" + struct.pack("<I", 99 | 49 << 14)),
        a_png(SIDE_MAX, SIDE_MAX),
        a_jpeg(width=SIDE_MAX, height=1),
    ],
)
def test_these_are_taken(content: bytes) -> None:
    assert picture_formats.read(content).content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"RIFF\0\0\0\0WAVE",
        a_png(SIDE_MAX + 1, 1),
        a_png(1, 0),
        a_jpeg(width=SIDE_MAX + 1),
        a_png()[:40],
        a_jpeg()[:30],
        a_jpeg().partition(b"\xff\xda")[0],
        a_jpeg()[: a_jpeg().index(b"\x56")],
        a_webp(b"VP8L", b"\x2f"),
        a_webp(b"EXIF", PLACE),
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe1\x00\x00",
    ],
)
def test_these_are_not(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"picture"):
        picture_formats.read(content)
