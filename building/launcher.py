"""The executable's first steps: choose where to unpack, unpack once, prune older unpackings, start the program.

It stands in the archive as `_launcher.py`, beside shiv's `_bootstrap`, whose locked and atomic extraction it uses.
Unlike shiv's own start it never needs a writable home, says in one line what went wrong, keeps one unpacking instead of
one per version, and puts our packages before anything that PYTHONPATH or the system offers.
"""

import contextlib
import fcntl
import os
import shutil
import stat
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

# Both are made by shiv and exist only inside the archive.
from _bootstrap import cache_path, extract_site_packages  # type: ignore[import-not-found]
from _bootstrap.environment import Environment  # type: ignore[import-not-found]

NAME = "vemetric"
# The override that every shiv executable knows.
ROOT_VARIABLE = "SHIV_ROOT"
DATA_DIR_VARIABLE = "VEMETRIC_DATA_DIR"
DATA_DIR_DEFAULT = "vemetric-data"
IN_USE_SUFFIX = "_in_use"
# Compiled Python and a margin, on top of the packed files' own size.
SPARE_BYTES = 64 * 1024 * 1024


def main() -> None:
    """Unpack if needed and run the program; never returns."""
    with zipfile.ZipFile(sys.argv[0]) as archive:
        environment = Environment.from_json(archive.read("environment.json").decode())
        try:
            site_packages = unpack(archive, environment.build_id)
        except OSError as error:
            sys.exit(f"{NAME}: cannot unpack: {error}; {ROOT_VARIABLE} can name another folder")
        except KeyboardInterrupt:
            sys.exit(130)
    sys.path[0] = str(site_packages)
    from vemetric.__main__ import main as run_program

    sys.exit(run_program())


def unpack(archive: zipfile.ZipFile, build_id: str) -> Path:
    """Answer the folder with this build's packages, unpacked now or earlier. Raises OSError."""
    root = choose_root(archive, build_id)
    folder: Path = cache_path(archive, str(root), build_id)
    site_packages = folder / "site-packages"
    if not os.access(root, os.W_OK):
        return site_packages
    hold(folder)
    if not site_packages.exists():
        sys.stderr.write(f"{NAME}: first start of this version, unpacking into {folder}\n")
        extract_site_packages(archive, folder)
    with contextlib.suppress(OSError):
        prune(root, keep=folder.name)
    return site_packages


def choose_root(archive: zipfile.ZipFile, build_id: str) -> Path:
    """Take the first folder that holds this build already, or can be written, may run code and has room."""
    bytes_needed = sum(entry.file_size for entry in archive.infolist()) + SPARE_BYTES
    refusals = []
    for root in candidates():
        if (cache_path(archive, str(root), build_id) / "site-packages").is_dir() and is_ours(root):
            return root
        refusal = why_unusable(root, bytes_needed)
        if refusal is None:
            return root
        refusals.append(f"{root}: {refusal}")
    raise OSError("; ".join(refusals))


def candidates() -> Iterator[Path]:
    """Name the folders to try: the cache, so that the data directory holds data only; else that; else /tmp."""
    if os.environ.get(ROOT_VARIABLE):
        yield Path(os.environ[ROOT_VARIABLE]).expanduser().absolute()
        return
    if os.environ.get("XDG_CACHE_HOME"):
        yield Path(os.environ["XDG_CACHE_HOME"]).absolute() / NAME
    else:
        with contextlib.suppress(RuntimeError):  # no home directory at all
            yield Path.home() / ".cache" / NAME
    yield Path(os.environ.get(DATA_DIR_VARIABLE) or DATA_DIR_DEFAULT).expanduser().absolute() / ".runtime"
    yield Path(tempfile.gettempdir()) / f"{NAME}-{os.getuid()}"


def why_unusable(root: Path, bytes_needed: int) -> str | None:
    """Make a folder for unpacking and say what speaks against it; None if nothing does."""
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        return str(error.strerror)
    if not is_ours(root):
        return "others may write there"
    if not os.access(root, os.W_OK | os.X_OK):
        return "not writable"
    if os.statvfs(root).f_flag & os.ST_NOEXEC:
        return "mounted noexec"
    if shutil.disk_usage(root).free < bytes_needed:
        return f"less than {bytes_needed // 1_000_000} MB free"
    return None


def is_ours(root: Path) -> bool:
    """Tell whether nobody else can put code into the folder; one that was named on purpose is taken as it is."""
    if os.environ.get(ROOT_VARIABLE):
        return root.is_dir()
    trusted = (os.getuid(), 0)
    status = root.stat()
    alone = status.st_uid in trusted and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return alone and stat.S_ISDIR(status.st_mode) and root.lstat().st_uid in trusted


def hold(folder: Path) -> None:
    """Mark an unpacking as in use until this process ends, however it ends."""
    marker = os.open(folder.with_name(f".{folder.name}{IN_USE_SUFFIX}"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(marker, fcntl.LOCK_SH)


def prune(root: Path, keep: str) -> None:
    """Remove the unpackings of other builds that no process uses, and what was left of interrupted ones."""
    for marker in root.glob(f".*{IN_USE_SUFFIX}"):
        name = marker.name.removeprefix(".").removesuffix(IN_USE_SUFFIX)
        if name == keep:
            continue
        with marker.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            # Out of the way first: half removed must not look unpacked. The marker stays, as others may wait on it.
            with contextlib.suppress(FileNotFoundError):
                (root / name).rename(root / f"{name}.old")
            for leftover in (f"{name}.old", f"{name}.tmp"):
                shutil.rmtree(root / leftover, ignore_errors=True)
