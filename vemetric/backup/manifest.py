"""What a backup says of itself: who wrote it, what it holds, and the sum of each file. Written last, so that a backup
with a manifest is a whole one.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from vemetric import __version__, errors
from vemetric.model import private_file

NAME = "vemetric-backup.json"
# The copied data directory, beside the manifest.
DATA_NAME = "data"
# Raise when older programs can no longer read what this one writes.
FORMAT = 1
CHUNK_BYTES = 1 << 20


class File(msgspec.Struct, frozen=True):
    """One file of the copy."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """files: by path below `data/`, empty where they were never summed up; links: symbolic ones with where they lead.

    rows: of the analytics tables as they count. on_servers: stores that are no part of it, by the setting's name.
    """

    taken_at_ms: int
    rows: dict[str, int]
    files: dict[str, File]
    links: dict[str, str]
    on_servers: list[str]
    program: str = __version__
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files.values())


def write(folder: Path, manifest: Manifest) -> None:
    """Make a whole backup of the folder."""
    private_file.write(folder / NAME, msgspec.json.format(msgspec.json.encode(manifest)))


def read(folder: Path) -> Manifest:
    """The folder's manifest. Invalid when it is no backup, not whole, or of a newer program."""
    try:
        content = (folder / NAME).read_bytes()
    except OSError:
        raise errors.Invalid(f"{folder} is no backup, or one that was not finished: it has no {NAME}.") from None
    try:
        found = msgspec.json.decode(content, type=Manifest)
    except ValueError as error:
        raise errors.Invalid(f"{folder / NAME} is damaged: {error}.") from None
    if found.format > FORMAT:
        raise errors.Invalid(
            f"{folder} was written by a newer Vemetric ({found.program}); restore it with that version."
        )
    return found


def copy(source: Path, target: Path) -> tuple[dict[str, File], dict[str, str]]:
    """Copy all below `source`, on disk when this returns; files with their sums, and links with where they lead."""
    files: dict[str, File] = {}
    links: dict[str, str] = {}
    for path in walk(source):
        name = path.relative_to(source).as_posix()
        to = target / name
        if path.is_symlink():
            links[name] = os.readlink(path)
            to.symlink_to(links[name])
        elif path.is_dir():
            to.mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            files[name] = _copy_file(path, to)
    for folder in [target, *(path for path in walk(target) if path.is_dir() and not path.is_symlink())]:
        private_file.sync_directory(folder)
    return files, links


def check(folder: Path, manifest: Manifest) -> None:
    """Read every file again. Invalid names the first that is missing, changed or of nobody."""
    found = {path.relative_to(folder).as_posix(): path for path in walk(folder) if path.is_symlink() or path.is_file()}
    for name, file in manifest.files.items():
        if name not in found:
            raise errors.Invalid(f"The backup is not whole: {folder / name} is missing.")
        if (held := _sum(found[name])) != file:
            raise errors.Invalid(
                f"The backup is damaged: {folder / name} is not what was written ({held.bytes} bytes)."
            )
    for name, to in manifest.links.items():
        if name not in found or not found[name].is_symlink() or os.readlink(found[name]) != to:
            raise errors.Invalid(f"The backup is damaged: {folder / name} does not lead to {to}.")
    if foreign := found.keys() - manifest.files.keys() - manifest.links.keys():
        raise errors.Invalid(f"The backup is damaged: {folder / min(foreign)} is no part of it.")


def walk(folder: Path) -> Iterator[Path]:
    """Everything below the folder, a directory before what is in it; links are not followed."""
    for entry in sorted(folder.iterdir()):
        yield entry
        if entry.is_dir() and not entry.is_symlink():
            yield from walk(entry)


def _copy_file(source: Path, target: Path) -> File:
    digest, size = hashlib.sha256(), 0
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with source.open("rb") as read, open(descriptor, "wb") as written:
        while chunk := read.read(CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            written.write(chunk)
        written.flush()
        os.fsync(written.fileno())
    return File(size, digest.hexdigest())


def _sum(path: Path) -> File:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return File(file.tell(), digest.hexdigest())
