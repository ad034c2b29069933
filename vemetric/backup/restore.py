"""Put a backup in the place of a data directory. What was there is set aside, not deleted."""

import asyncio
import itertools
import os
import shutil
import time
from pathlib import Path
from typing import Any

from vemetric import errors
from vemetric.backup import before, manifest, sqlite_files, trial
from vemetric.backup.manifest import Manifest
from vemetric.clickhouse import directory
from vemetric.config import Config
from vemetric.database import migrate as database_migrate
from vemetric.model import private_file
from vemetric.model.data_directory import (
    ANALYTICS_NAME,
    DATABASE_NAME,
    PICTURES_NAME,
    QUEUE_NAME,
    SECRET_NAME,
    companions,
)
from vemetric.queues import sqlite_schema

STORES = (ANALYTICS_NAME, DATABASE_NAME, QUEUE_NAME, SECRET_NAME, PICTURES_NAME)
REPLACED_PREFIX = "replaced-"


def restore(config: Config, folder: Path, *, force: bool) -> dict[str, Any]:
    """Check the backup in `folder` to the last byte, and make it the data of this data directory.

    force: also where there are data; they are moved into a folder beside. Raises Invalid for a backup that is not
    whole, or of a newer program; Conflict where there are data; InUse while a process has them.
    """
    found = manifest.read(folder)
    _refuse_other_places(config, folder / manifest.DATA_NAME)
    data_dir = config.data_dir
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = [name for name in STORES if (data_dir / name).exists()]
    if there and not force:
        raise errors.Conflict(
            f"{data_dir} holds data already ({', '.join(there)}). Restore into an empty directory, or give --force: "
            "what is there is then moved aside."
        )
    with _owned(data_dir):
        incoming = data_dir / before.INCOMING
        _empty(incoming)
        incoming.mkdir(mode=0o700, exist_ok=True)
        try:
            _bring_in(folder / manifest.DATA_NAME, incoming, found, config)
        except BaseException:
            _empty(incoming)
            raise
        aside = _set_aside(data_dir, incoming / before.WHOLE_NAME)
        put_in_place(incoming, data_dir)
    return {
        "takenAtMs": found.taken_at_ms,
        "program": found.program,
        "bytes": found.size,
        "events": found.rows.get("event", 0),
        "replaced": None if aside is None else str(aside),
        "onServers": found.on_servers,
    }


def put_in_place(incoming: Path, data_dir: Path) -> None:
    """Move what was brought in to where a start looks for it."""
    # It tells of what was there before.
    (data_dir / before.NOTE_NAME).unlink(missing_ok=True)
    for store in STORES:
        # What a store needs beside it is there before it is.
        for name in (*companions(store), store):
            if (incoming / name).exists():
                (incoming / name).rename(data_dir / name)
    shutil.rmtree(incoming)
    private_file.sync_directory(data_dir)


def _empty(incoming: Path) -> None:
    """Remove what an earlier restore brought in, but not the note that it was ended in the middle: until one is done,
    nothing may start from what there is.
    """
    if not (incoming / before.WHOLE_NAME).exists():
        shutil.rmtree(incoming, ignore_errors=True)
        return
    for entry in incoming.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != before.WHOLE_NAME:
            entry.unlink()


def _bring_in(source: Path, incoming: Path, found: Manifest, config: Config) -> None:
    if found.files:
        manifest.check(source, found)
    manifest.copy(source, incoming)
    _refuse_newer(incoming)
    if found.rows:
        asyncio.run(trial.try_out(incoming, found, config))
    if (incoming / QUEUE_NAME).exists():
        sqlite_files.count_as_redelivered(incoming / QUEUE_NAME)
    if (incoming / DATABASE_NAME).exists():
        sqlite_files.forget_salts(incoming / DATABASE_NAME)


def _refuse_other_places(config: Config, source: Path) -> None:
    """A store of the backup is of no use where the settings name a server for it."""
    on_servers = {DATABASE_NAME: config.database_url, QUEUE_NAME: config.redis_url, ANALYTICS_NAME: config.clickhouse}
    names = {DATABASE_NAME: "DATABASE_URL", QUEUE_NAME: "REDIS_URL", ANALYTICS_NAME: "CLICKHOUSE_URL"}
    for name, server in on_servers.items():
        if server and (source / name).exists():
            raise errors.Invalid(
                f"The backup holds {name}, but {names[name]} names a server for it. Restore without that setting, then "
                "`vemetric move`."
            )


def _refuse_newer(incoming: Path) -> None:
    """Before anything is moved: this program must be able to start from it."""
    if (incoming / DATABASE_NAME).exists():
        revision = sqlite_files.revision(incoming / DATABASE_NAME)
        if revision is not None and revision not in database_migrate.revisions():
            raise errors.Invalid(f"The backup's accounts are at revision {revision}, of a newer Vemetric.")
    if (incoming / QUEUE_NAME).exists():
        version = sqlite_files.version(incoming / QUEUE_NAME)
        if version > len(sqlite_schema.MIGRATIONS):
            raise errors.Invalid(f"The backup's queue has schema {version}, of a newer Vemetric.")


class _owned:
    """The data directory, for as long as the block runs; InUse while a process has it."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def __enter__(self) -> None:
        analytics = self._data_dir / ANALYTICS_NAME
        self._locks = [directory.lock(path) for path in (self._data_dir, analytics) if (path / "lock").exists()]

    def __exit__(self, *_: object) -> None:
        for lock in self._locks:
            os.close(lock)


def _set_aside(data_dir: Path, note: Path) -> Path | None:
    """Move away the stores and all that belongs to them, also where the stores themselves are gone: what is left beside
    the file of a backup would be taken for a part of it. Returns where to, None where there was nothing.

    note: says from the first move on where to, so that one that was killed goes on in the same folder; empty once all
    is there.
    """
    began = note.read_text() if note.exists() else ""
    aside = data_dir / began if began else _unused(data_dir)
    private_file.write(note, aside.name.encode())
    for name in (one for store in STORES for one in (store, *companions(store))):
        if (data_dir / name).exists():
            aside.mkdir(mode=0o700, exist_ok=True)
            (data_dir / name).rename(aside / name)
    if aside.exists():
        private_file.sync_directory(aside)
    private_file.sync_directory(data_dir)
    private_file.write(note, b"")
    return aside if aside.exists() else None


def _unused(data_dir: Path) -> Path:
    """A name for a folder that there is not yet."""
    first = data_dir / (REPLACED_PREFIX + time.strftime("%Y%m%d-%H%M%S", time.gmtime()))
    names = (first if not number else first.with_name(f"{first.name}-{number}") for number in itertools.count())
    return next(path for path in names if not path.exists())
