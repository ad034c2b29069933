"""Small files that must not be lost, half written, or read by others: the secret, the note of who wrote a directory."""

import os
import stat
from pathlib import Path

READABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def write(path: Path, content: bytes) -> None:
    """Put the whole content in the file's place; on disk, name and all, when this returns. Its owner's alone."""
    temporary = path.with_name(f"{path.name}.new")
    # Anew: one that a killed process left could have been made with other rights.
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Put the names in a directory on disk; a file that is on disk can be lost with its name."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def open_to_others(path: Path) -> str:
    """The rights of a directory that others than its owner may look into, such as 755; '' where none may."""
    mode = stat.S_IMODE(path.stat().st_mode)
    return f"{mode:o}" if mode & READABLE_BY_OTHERS else ""
