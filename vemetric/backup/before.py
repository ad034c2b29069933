"""The way back from an upgrade: before the first migration of the stores in files they are copied, the analytics by
links to the same bytes; when a migration fails, they are put back. Called by services.py, which opens the stores.
"""

import logging
import os
import shutil
import time
from pathlib import Path

import msgspec

from vemetric import errors
from vemetric.backup import manifest, sqlite_files
from vemetric.backup.manifest import DATA_NAME, Manifest
from vemetric.backup.stage import LEFT_OUT, is_part
from vemetric.backup.trial import link
from vemetric.clickhouse import directory, loader, migrate
from vemetric.config import Config
from vemetric.database import migrate as database_migrate
from vemetric.model import private_file
from vemetric.model.data_directory import ANALYTICS_NAME, DATABASE_NAME, JOURNAL_SUFFIXES, QUEUE_NAME, companions
from vemetric.queues import sqlite_schema

NOTE_NAME = "schema.json"
# A backup, as `vemetric restore` takes it.
FOLDER_NAME = "before-upgrade"
# In the folder from the first migration until the last: what is there must not be copied over it.
PENDING_NAME = "pending"
# In the folder from the first move back until the last: the stores that were there.
GOING_BACK_NAME = "going-back"
# What a restore brings in, with a file in it from the first move into place until the last.
INCOMING, WHOLE_NAME = "restoring", "whole"
KEPT_SECONDS = 7 * 86_400
STORES = (ANALYTICS_NAME, DATABASE_NAME, QUEUE_NAME)

log = logging.getLogger(__name__)


class Schema(msgspec.Struct, frozen=True):
    """What wrote the stores last, as far as they look different for it."""

    database: str
    queue: int
    analytics: tuple[str, ...]
    engine: str


def ours() -> Schema:
    """What this program makes of the stores."""
    analytics = tuple(one.name for one in migrate.all_migrations())
    return Schema(database_migrate.revisions()[-1], len(sqlite_schema.MIGRATIONS), analytics, loader.version())


def prepare(config: Config) -> Path | None:
    """Copy the stores if this program will change how they look. Returns where to go back to, None without a change.

    Raises InUse while a process has them, Unavailable when they cannot be copied, Misconfigured where a restore ended
    in the middle: a start would make what is missing anew, and empty.
    """
    data_dir = config.data_dir
    if (data_dir / INCOMING / WHOLE_NAME).exists():
        raise errors.Misconfigured(
            f"A restore into {data_dir} was ended in the middle. Do it again: vemetric restore DIR --force."
        )
    folder = data_dir / FOLDER_NAME
    if (folder / GOING_BACK_NAME).exists():
        # A start was killed on its way back.
        go_back(config, folder)
    # A directory without tables was only made by a start that had to wait.
    there = [name for name in STORES if (data_dir / name / ("store" if name == ANALYTICS_NAME else "")).exists()]
    if not there or (noted := _noted(data_dir)) == ours() or (noted is not None and _is_newer(noted)):
        # What a newer program wrote is refused by whoever opens it.
        return None
    if (folder / PENDING_NAME).exists():
        # A start was killed in the middle of it; what was before is still the way back.
        return folder
    if ANALYTICS_NAME in there:
        os.close(directory.lock(data_dir / ANALYTICS_NAME))
    try:
        _copy(data_dir, folder, there)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise errors.Unavailable(f"The stores could not be copied before the upgrade: {error}.") from error
    log.info("The stores are about to be changed; as they were they are in %s.", folder)
    return folder


def settle(config: Config, folder: Path | None) -> None:
    """The stores are what this program makes of them; what was before is kept for some days, without its salts."""
    if config.data_dir.exists() and _noted(config.data_dir) != ours():
        private_file.write(config.data_dir / NOTE_NAME, msgspec.json.encode(ours()))
    if folder is not None:
        if (folder / DATA_NAME / DATABASE_NAME).exists():
            sqlite_files.forget_salts(folder / DATA_NAME / DATABASE_NAME)
        (folder / PENDING_NAME).unlink(missing_ok=True)


def go_back(config: Config, folder: Path) -> None:
    """Put the stores back as they were; called again, it goes on. Nothing may have them open."""
    data_dir, failed, note = config.data_dir, config.data_dir / f"{FOLDER_NAME}-failed", folder / GOING_BACK_NAME
    if not note.exists():
        there = [name for name in STORES if (folder / DATA_NAME / name).exists()]
        private_file.write(note, msgspec.json.encode(there))
    were_there = msgspec.json.decode(note.read_bytes(), type=list[str])
    shutil.rmtree(failed, ignore_errors=True)
    failed.mkdir(mode=0o700)
    for name in STORES:
        kept = folder / DATA_NAME / name
        if name not in were_there or kept.exists():
            _move([name, *companions(name)], data_dir, failed)
        if kept.exists():
            for companion in companions(name):
                # By another name, as it is needed again where this is killed before the store itself is in place.
                if (folder / DATA_NAME / companion).exists():
                    link(folder / DATA_NAME / companion, data_dir / companion)
            kept.rename(data_dir / name)
    private_file.sync_directory(data_dir)
    shutil.rmtree(folder)
    shutil.rmtree(failed, ignore_errors=True)


def _move(names: list[str], source: Path, target: Path) -> None:
    for name in names:
        if (source / name).exists():
            (source / name).rename(target / name)


def forget_old(data_dir: Path) -> None:
    """Remove what was kept of before an upgrade, once it is some days old."""
    folder = data_dir / FOLDER_NAME
    note = folder / manifest.NAME
    is_settled = note.exists() and not (folder / PENDING_NAME).exists()
    if is_settled and time.time() - note.stat().st_mtime > KEPT_SECONDS:
        shutil.rmtree(folder, ignore_errors=True)


def _is_newer(noted: Schema) -> bool:
    known = ours()
    return (
        noted.database not in database_migrate.revisions()
        or noted.queue > known.queue
        or bool(set(noted.analytics) - set(known.analytics))
    )


def _noted(data_dir: Path) -> Schema | None:
    try:
        return msgspec.json.decode((data_dir / NOTE_NAME).read_bytes(), type=Schema)
    except (OSError, ValueError):
        return None


def _copy(data_dir: Path, folder: Path, there: list[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / DATA_NAME).mkdir(mode=0o700, parents=True)
    folder.chmod(0o700)
    moment = sqlite_files.Moment([data_dir / name for name in there if name != ANALYTICS_NAME])
    try:
        moment.copy(folder / DATA_NAME)
    finally:
        moment.end()
    # What a killed process told and had no time to bring into the queue: its next start will, from these.
    for name in (QUEUE_NAME + suffix for suffix in JOURNAL_SUFFIXES):
        if (data_dir / name).exists():
            shutil.copyfile(data_dir / name, folder / DATA_NAME / name)
    if ANALYTICS_NAME in there:
        _link(data_dir / ANALYTICS_NAME, folder / DATA_NAME / ANALYTICS_NAME, of_part=False)
    (folder / PENDING_NAME).touch(mode=0o600)
    # Without sums: they would take as long as a backup, and the links are the same bytes.
    manifest.write(folder, Manifest(int(time.time() * 1000), rows={}, files={}, links={}, on_servers=[]))


def _link(source: Path, target: Path, *, of_part: bool) -> None:
    """The same directory. Files of parts never change, so a link keeps them; all others are copied."""
    target.mkdir(mode=0o700)
    for entry in source.iterdir():
        if entry.name in LEFT_OUT:
            continue
        if entry.is_symlink():
            (target / entry.name).symlink_to(os.readlink(entry))
        elif entry.is_dir():
            _link(entry, target / entry.name, of_part=of_part or is_part(entry))
        elif of_part and not entry.name.endswith(".txt"):
            link(entry, target / entry.name)
        else:
            shutil.copyfile(entry, target / entry.name)
