"""The journal of the SQLite queue: two files of fixed size in which what a crowd puts is made durable, before the
writer brings it into the tables in its own time. Written by journal_line.py, read at the start by sqlite_writer.py.

A frame is a group of writes, at the start of a page of its own, so that no write of a page can harm what was told.
Files are filled in turns and written over, never grown: syncing one costs no change of the file system's books.
"""

import contextlib
import ctypes
import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from vemetric import errors
from vemetric.model import private_file
from vemetric.model.data_directory import JOURNAL_SUFFIXES
from vemetric.queues.disk_sync import sync_file
from vemetric.queues.job import Write

FILE_BYTES: Final = 8 * 1024 * 1024
PAGE_BYTES: Final = 4_096
# What a page begins with: epoch, number, bytes of the body, checksum of these three and the body.
_HEAD: Final = struct.Struct("<QQI")
_SUM: Final = struct.Struct("<I")
HEAD_BYTES: Final = _HEAD.size + _SUM.size
BODY_BYTES_MAX: Final = 1024 * 1024

_pwrite = ctypes.PyDLL(None, use_errno=True).pwrite
_pwrite.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int64)
_pwrite.restype = ctypes.c_ssize_t

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Write]).decode


class Frame(NamedTuple):
    """A group of writes as it was told durable. number: from 1 on within an epoch, without a gap."""

    number: int
    writes: list[Write]


def encoded(writes: list[Write]) -> bytes:
    """The body of a frame. Invalid if one of the writes holds what could not be read again, or not be kept."""
    try:
        body = _encode(writes)
        # Whoever starts after a kill has nothing else, and one bad write must not stand before all others then.
        _decode(body)
    except (msgspec.DecodeError, TypeError, ValueError, OverflowError) as error:
        raise errors.Invalid(f"What was put cannot be kept: {error}.") from error
    if len(body) > BODY_BYTES_MAX:
        raise errors.Invalid(f"What was put takes {len(body)} bytes; at most {BODY_BYTES_MAX} are allowed.")
    return body


def paths(queue: Path) -> list[Path]:
    """Where the files of a queue's journal are."""
    return [queue.with_name(queue.name + suffix) for suffix in JOURNAL_SUFFIXES]


class JournalFiles:
    """The two files, open for writing. Made by `open`, ended by `close`."""

    def __init__(self, files: list[list[int]], file_bytes: int) -> None:
        # Each file is open several times: each of them hears of an error of the disk for itself.
        self._files = files
        self._file_bytes = file_bytes
        self._at = 0
        self._offset = 0
        self._epoch = 0
        self._number = 0
        # The last frame that each file holds of this epoch.
        self._last = [0, 0]

    @classmethod
    def open(cls, queue: Path, times: int, file_bytes: int = FILE_BYTES) -> Self:
        """Open the files beside the queue's, making them where they are missing, `times` times each.

        OSError if that fails, BlockingIOError if another process has them.
        """
        files: list[list[int]] = []
        opened: list[int] = []
        try:
            for path in paths(queue):
                opened = []
                files.append(opened)
                opened.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                fcntl.flock(opened[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
                _fill(opened[0], file_bytes)
                for _ in range(times - 1):
                    opened.append(os.open(path, os.O_RDWR | os.O_CLOEXEC))
            private_file.sync_directory(queue.parent)
        except BaseException:
            _close(files)
            raise
        return cls(files, file_bytes)

    def close(self) -> None:
        _close(self._files)

    def begin(self, epoch: int) -> None:
        """Write frames of a new epoch from now on, from the start of the first file. Everything older is done with."""
        self._epoch, self._number, self._at, self._offset, self._last = epoch, 0, 0, 0, [0, 0]

    def has_room(self, body_bytes: int) -> bool:
        """Whether a frame fits what is left of the file that is being filled."""
        return self._offset + HEAD_BYTES + body_bytes <= self._file_bytes

    def may_turn(self, applied: int) -> bool:
        """Whether the other file holds nothing that is needed, when the frames up to `applied` are in the tables."""
        return self._last[1 - self._at] <= applied

    def turn(self) -> None:
        """Go on in the other file. Nothing of this one may wait to be synced: see `file`."""
        self._at, self._offset = 1 - self._at, 0
        self._last[self._at] = 0

    def append(self, body: bytes) -> int:
        """Write the next frame and return its number; it is not synced yet. OSError if the disk refuses."""
        number = self._number + 1
        head = _HEAD.pack(self._epoch, number, len(body))
        data = b"".join((head, _SUM.pack(zlib.crc32(body, zlib.crc32(head))), body))
        _write(self._files[self._at][0], data, self._offset)
        self._offset = -(-(self._offset + len(data)) // PAGE_BYTES) * PAGE_BYTES
        self._number = self._last[self._at] = number
        return number

    def file(self, which: int) -> int:
        """One of the handles of the file that is being filled. A sync of it is of all frames written before, and fails
        if one of them could not be written since its last.
        """
        return self._files[self._at][which]


def read(queue: Path, epoch: int, applied: int) -> list[Frame]:
    """The frames of an epoch after the one numbered `applied`, without a gap. OSError if a file cannot be read,
    BlockingIOError if another process has it.

    What was told is there: a frame is told when it and all before it are synced. After a gap there may be others, which
    nobody was told of.
    """
    found: dict[int, bytes] = {}
    for path in paths(queue):
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                data = file.read()
        except FileNotFoundError:
            continue
        found.update((number, body) for number, body in _frames(data, epoch) if number > applied)
    frames = []
    number = applied + 1
    while (body := found.get(number)) is not None:
        frames.append(Frame(number, _decode(body)))
        number += 1
    return frames


def _frames(data: bytes, epoch: int) -> Iterator[tuple[int, bytes]]:
    for offset in range(0, len(data), PAGE_BYTES):
        if offset + HEAD_BYTES > len(data):
            return
        its_epoch, number, length = _HEAD.unpack_from(data, offset)
        if its_epoch != epoch or length > BODY_BYTES_MAX:
            continue
        (its_sum,) = _SUM.unpack_from(data, offset + _HEAD.size)
        body = data[offset + HEAD_BYTES : offset + HEAD_BYTES + length]
        if len(body) == length and zlib.crc32(body, zlib.crc32(data[offset : offset + _HEAD.size])) == its_sum:
            yield number, body


def _write(file: int, data: bytes, offset: int) -> None:
    """As os.pwrite, to the end, but for the interpreter, which is kept: it takes some microseconds, and to win the
    interpreter back from the others can take a hundred times as long.
    """
    written = _pwrite(file, data, len(data), offset)
    if written < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    while written < len(data):
        # A short write of a file that is there in full is a failure of the disk, and this says which.
        written += os.pwrite(file, data[written:], offset + written)


def _fill(file: int, file_bytes: int) -> None:
    """Give the file its size in blocks that were written: what is written over them later needs no new ones."""
    if os.fstat(file).st_size == file_bytes:
        return
    os.ftruncate(file, 0)
    zeros = bytes(1024 * 1024)
    for offset in range(0, file_bytes, len(zeros)):
        os.pwrite(file, zeros[: file_bytes - offset], offset)
    if os.fstat(file).st_size != file_bytes:
        raise OSError(0, "The file could not be made in full")
    sync_file(file)


def _close(files: list[list[int]]) -> None:
    for opened in files:
        for file in opened:
            # What was told of it was synced; the others must be closed whatever this one says.
            with contextlib.suppress(OSError):
                os.close(file)
