"""Checks of the machine and the data directory: disk, rights, clock, limits, versions. Called by examine.py."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import msgspec

from vemetric import __version__
from vemetric.backup import presence, sqlite_files
from vemetric.clickhouse import directory, loader
from vemetric.config import Config
from vemetric.database import migrate
from vemetric.doctor.finding import PROBLEM, Finding, Machine, nearest
from vemetric.model import private_file
from vemetric.model.data_directory import ANALYTICS_NAME, DATABASE_NAME, QUEUE_NAME, SECRET_NAME, companions
from vemetric.queues import sqlite_schema

FREE_BYTES_MIN = 1_000_000_000
FREE_SHARE_MIN = 0.05
# A connection is a file, and so is every part of a table that is read.
FILES_MIN = 4_096
NETWORK_DISKS = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "ceph",
    "glusterfs",
    "afs",
    "lustre",
    "ncpfs",
    "virtiofs",
}
# Nothing of this program is older.
OLDEST_DATE = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
AHEAD_SECONDS = 300
# What is looked at of a directory: an owner is changed for all of it, so that the first files tell.
ENTRIES_MAX = 20_000
SECRET_BYTES = 32


def disk(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether there is room."""
    if machine.free_bytes < max(FREE_BYTES_MIN, machine.disk_bytes * FREE_SHARE_MIN):
        free = f"{machine.free_bytes / 1e9:.1f} GB of {machine.disk_bytes / 1e9:.1f} GB"
        yield Finding(
            "disk",
            PROBLEM,
            f"Only {free} are free where {config.data_dir} lies; hits are refused once the disk is full.",
            "Make room, move the data directory to a larger disk, or keep less: VEMETRIC_RETENTION_DAYS.",
        )


def network_disk(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether the files lie where locks and syncs mean what they say."""
    kind = _kind_of_disk(machine.mounts, nearest(config.data_dir).resolve())
    if kind in NETWORK_DISKS or kind.startswith("fuse."):
        yield Finding(
            "network disk",
            PROBLEM,
            f"{config.data_dir} lies on a network disk ({kind}); SQLite's locks and the engine's renames do not hold "
            "there, and events can be lost.",
            "Use a local disk for VEMETRIC_DATA_DIR, or servers for the stores (docs/scaling.md).",
        )


def data(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether it is the directory that a server works with."""
    if machine.running is None and (told := presence.fault(config)):
        fix = "Set VEMETRIC_DATA_DIR as it is set for the server; before the first start this is as it should be."
        yield Finding("data directory", PROBLEM, told, fix)


def permissions(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether the owner may do everything and others nothing."""
    data_dir = config.data_dir
    if not data_dir.exists():
        parent = nearest(data_dir)
        if not os.access(parent, os.W_OK):
            yield Finding(
                "permissions",
                PROBLEM,
                f"{data_dir} does not exist and cannot be made in {parent}.",
                f"Make it and give it to the user that runs Vemetric: install -d -m 700 -o USER {data_dir}",
            )
        return
    if mode := private_file.open_to_others(data_dir):
        yield Finding(
            "permissions",
            PROBLEM,
            f"Others on this machine may look into {data_dir} (mode {mode}).",
            f"chmod -R go-rwx {data_dir}",
        )
    # Who is root may look after the files of another.
    uid = machine.uid or data_dir.stat().st_uid
    stores = {data_dir / name for name in ("", ANALYTICS_NAME, DATABASE_NAME, QUEUE_NAME, SECRET_NAME)}
    for path in (*sorted(stores), *islice(data_dir.rglob("*"), ENTRIES_MAX)):
        try:
            found = path.lstat()
        except OSError:
            # Gone meanwhile, or never there.
            continue
        if found.st_uid != uid or (path in stores and not _is_writable(found.st_mode)):
            yield Finding(
                "permissions",
                PROBLEM,
                f"{path} belongs to another user, or cannot be written by this one.",
                f"chown -R {uid} {data_dir} && chmod -R u+rwX {data_dir}, or run as the user that owns it. Commands "
                "are for the user that the server runs as, too.",
            )
            break


def stores(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether the files are what they were written as."""
    fix = "Restore a backup (docs/backup.md); keep what is there until then."
    for path in (config.data_dir / DATABASE_NAME, config.data_dir / QUEUE_NAME):
        try:
            if path.exists():
                sqlite_files.version(path)
        except sqlite3.DatabaseError as error:
            yield Finding("stores", PROBLEM, f"{path} cannot be read: {error}.", fix)
    secret = config.data_dir / SECRET_NAME
    if secret.exists() and secret.stat().st_size != SECRET_BYTES:
        yield Finding("stores", PROBLEM, f"{secret} is damaged: it must hold {SECRET_BYTES} bytes.", fix)


def clock(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether the time can be right: visits, salts and leases go by it."""
    told = datetime.fromtimestamp(machine.now, UTC).isoformat(timespec="seconds")
    fix = "Set the clock and keep it right: timedatectl set-ntp true"
    if machine.now < OLDEST_DATE:
        yield Finding("clock", PROBLEM, f"The clock says {told}, before this program was written.", fix)
        return
    names = (DATABASE_NAME, QUEUE_NAME, *companions(QUEUE_NAME), SECRET_NAME)
    paths = [config.data_dir / name for name in names]
    written = [path.stat().st_mtime for path in paths if path.exists()]
    if written and max(written) > machine.now + AHEAD_SECONDS:
        minutes = (max(written) - machine.now) / 60
        text = f"The clock says {told}, but data were written {minutes:.0f} minutes later than that."
        yield Finding("clock", PROBLEM, text, fix)


def open_files(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether there may be enough connections."""
    if machine.files_max < FILES_MIN:
        yield Finding(
            "open files",
            PROBLEM,
            f"A process may have {machine.files_max} files open; every connection is one, and every part of a table.",
            "Raise it: LimitNOFILE=65536 in the systemd unit, --ulimit nofile=65536 for a container, ulimit -n 65536.",
        )


def versions(config: Config, machine: Machine) -> Iterator[Finding]:
    """Whether command, process and data are of one version, or the data of an older one."""
    if machine.running is not None and machine.running["version"] != __version__:
        yield Finding(
            "versions",
            PROBLEM,
            f"The running process is version {machine.running['version']}, this command {__version__}.",
            "Restart the server, or use the executable that it was started from.",
        )
    for what in _newer(config.data_dir):
        yield Finding(
            "versions",
            PROBLEM,
            f"{what} was written by a newer version than this one ({__version__}).",
            "Start the newer version, or restore a backup of before the upgrade (docs/upgrade.md).",
        )


def _newer(data_dir: Path) -> Iterator[str]:
    database, queue, note = data_dir / DATABASE_NAME, data_dir / QUEUE_NAME, data_dir / ANALYTICS_NAME
    # A file that cannot be read is told by `stores`.
    with suppress(sqlite3.DatabaseError):
        if database.exists() and (revision := sqlite_files.revision(database)) and revision not in migrate.revisions():
            yield str(database)
    with suppress(sqlite3.DatabaseError):
        if queue.exists() and sqlite_files.version(queue) > len(sqlite_schema.MIGRATIONS):
            yield str(queue)
    if (note / directory.FORMAT_NAME).exists():
        try:
            found = msgspec.json.decode((note / directory.FORMAT_NAME).read_bytes(), type=directory.Format)
        except (ValueError, OSError):
            return
        if found.format > directory.FORMAT or directory.numbers(found.engine) > directory.numbers(loader.version()):
            yield str(note)


def _kind_of_disk(mounts: str, path: Path) -> str:
    """The file system that the path is on, of the mount that is closest above it."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = Path(fields[4].encode().decode("unicode_escape"))
        if path.is_relative_to(point) and len(point.parts) > best:
            best, kind = len(point.parts), after.split()[0]
    return kind


def _is_writable(mode: int) -> bool:
    # By the rights themselves: the administrator may do everything, the service may not.
    return bool(mode & stat.S_IWUSR) and bool(mode & stat.S_IRUSR)
