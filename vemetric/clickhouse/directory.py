"""The data directory of the embedded engine: one process owns it, and an older program refuses a newer one's files."""

import fcntl
import os
from pathlib import Path
from typing import Self

import msgspec

from vemetric import errors
from vemetric.model import private_file

# Raise when older programs can no longer read what this one writes.
FORMAT = 1
LOCK_NAME = "lock"
FORMAT_NAME = "format.json"
STORE_NAME = "store"
# The engine takes its path as the first part of a URL-like text.
UNSUPPORTED_CHARACTERS = frozenset("?#%&\n")


class Format(msgspec.Struct, frozen=True):
    """What wrote the directory last."""

    format: int
    engine: str


class Directory:
    """An owned data directory. `store` is the path to hand to the engine."""

    def __init__(self, path: Path, lock_descriptor: int) -> None:
        self._path = path
        self._lock_descriptor = lock_descriptor
        self.store = path / STORE_NAME

    @classmethod
    def own(cls, path: Path, engine_version: str) -> Self:
        """Make the directory if needed, lock it and check its format. Misconfigured says what stands in the way."""
        path = path.resolve()
        if UNSUPPORTED_CHARACTERS & set(str(path)):
            raise errors.Misconfigured(
                f"The data directory {str(path)!r} has a character in its name that the analytics engine cannot take; "
                "names without ? # % & and line breaks are allowed."
            )
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = cls(path, lock(path))
        try:
            directory._check_format(engine_version)
        except BaseException:
            directory.release()
            raise
        return directory

    def release(self) -> None:
        """Let another process own it."""
        os.close(self._lock_descriptor)

    def _check_format(self, engine_version: str) -> None:
        file = self._path / FORMAT_NAME
        ours = Format(FORMAT, engine_version)
        if file.exists():
            theirs = _read(file)
            if theirs.format > ours.format or numbers(theirs.engine) > numbers(ours.engine):
                raise errors.Misconfigured(
                    f"The analytics data in {self._path} was written by a newer version of this program "
                    f"(format {theirs.format}, engine {theirs.engine}; this one has {ours.format}, {ours.engine}). "
                    "Start the newer version, or restore a backup made by this one."
                )
            if theirs == ours:
                return
        private_file.write(file, msgspec.json.encode(ours))


def _read(file: Path) -> Format:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Format)
    except ValueError as error:
        raise errors.Misconfigured(
            f"{file} is damaged ({error}): it must say which version wrote the analytics data. Restore it; "
            "or, if no newer version than this one ever ran on these data, delete it."
        ) from None


def lock(path: Path) -> int:
    """Take the directory's lock file, held until its descriptor is closed or the process ends, however that happens."""
    descriptor = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise errors.InUse(
            f"The data in {path} is in use by process {owner or 'unknown'}; only one process can own it. "
            "Stop that one first, or choose another data directory."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor


def numbers(version: str) -> tuple[int, ...]:
    """A version as it is compared."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())
