"""A copy of the data directory of one moment, made by whoever owns the stores while hits go on. It lies in the data
directory itself, the analytics by links to the same bytes; the command line takes it from there (moving/backup.py).
"""

import asyncio
import fcntl
import logging
import os
import shutil
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

from vemetric import errors
from vemetric.backup.sqlite_files import Moment, end_journal, forget_salts
from vemetric.clickhouse.engine import Engine
from vemetric.config import Config
from vemetric.database.database import Database
from vemetric.model import ids
from vemetric.model.data_directory import (
    ANALYTICS_NAME,
    DATABASE_NAME,
    PICTURES_NAME,
    QUEUE_NAME,
    SECRET_NAME,
)
from vemetric.model.probe import Probe, nothing
from vemetric.queues.gate import Gate
from vemetric.queues.queue import Queue

# Letters and underscores only: the engine writes other characters of a name in its own way.
PREFIX = "backup_stage_"
# A stage that nobody holds by then was left by a command that was killed; holding it is the first that a command does.
HANDOVER_SECONDS = 10
# Of the engine's directory, what is no part of a copy: what it freezes, works on, or has set aside.
SHADOW = "shadow"
LEFT_OUT = {SHADOW, "tmp", "detached", "status", "lock"}
# Tables with the rows that count.
TABLES = ("event", "session", "user", "device", "user_merge", "migration")
# How long rows that are being removed are waited for, and how often it is asked.
REMOVING_SECONDS_MAX, REMOVING_LOOK_SECONDS = 600.0, 0.05
UNDONE = "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND NOT is_done"

log = logging.getLogger(__name__)


class Stores(NamedTuple):
    """What a moment is taken of."""

    engine: Engine
    database: Database
    queue: Queue
    gate: Gate


async def take(config: Config, stores: Stores, probe: Probe = nothing) -> dict[str, Any]:
    """Stage a copy of all stores that are files. Returns the folder, the rows that count, and what is on servers.

    The workers rest between two batches while the moment is taken, milliseconds to seconds; the copying follows.
    Raises Unavailable when a batch does not end, or the disk is full. probe: told each moment at which another process
    may come along.
    """
    data_dir = config.data_dir.resolve()
    await asyncio.to_thread(clear, data_dir)
    name = PREFIX + ids.random_id(8)
    stage = data_dir / name
    stage.mkdir(mode=0o700)
    # By this process too, however long it takes: another backup, or a start that finds the data in use, clears.
    held = hold(stage)
    try:
        rows = await _fill(config, stores, data_dir, stage)
        probe("stage:filled")
        # From now on its command has a while to take hold of it.
        os.utime(stage)
    except BaseException as error:
        shutil.rmtree(stage, ignore_errors=True)
        if isinstance(error, OSError):
            raise errors.Unavailable(f"The stores cannot be copied: {error}.") from error
        raise
    finally:
        os.close(held)
    return {"stage": str(stage), "rows": rows, "onServers": on_servers(config)}


async def _fill(config: Config, stores: Stores, data_dir: Path, stage: Path) -> dict[str, int]:
    rows: dict[str, int] = {}
    async with stores.gate.closed():
        if config.clickhouse is None:
            rows = await _freeze(stores.engine, data_dir / ANALYTICS_NAME, stage.name, stage / ANALYTICS_NAME)
        moment = await _moment(config, stores, data_dir)
    try:
        await asyncio.to_thread(moment.copy, stage)
    finally:
        moment.end()
    await asyncio.to_thread(_add_the_rest, data_dir, stage)
    return rows


def on_servers(config: Config) -> list[str]:
    """The settings of the stores that are somebody else's to copy."""
    named = {
        "DATABASE_URL": bool(config.database_url),
        "REDIS_URL": config.redis_url is not None,
        "CLICKHOUSE_URL": config.clickhouse is not None,
        "AWS_S3_ENDPOINT": bool(config.aws_s3_endpoint),
    }
    return [name for name, is_on_server in named.items() if is_on_server]


async def _moment(config: Config, stores: Stores, data_dir: Path) -> Moment:
    """The accounts and the queue at the same moment: no page writes between the two.

    The queue catches up after the last page wrote: what is to be erased may be in its journal, and gone from the
    accounts.
    """
    paths = [] if config.database_url else [data_dir / DATABASE_NAME]
    paths += [] if config.redis_url is not None else [data_dir / QUEUE_NAME]
    async with AsyncExitStack() as stack:
        if not config.database_url:
            await stack.enter_async_context(stores.database.begin())
        await stores.queue.catch_up()
        return await asyncio.to_thread(Moment, paths)


async def _freeze(engine: Engine, analytics: Path, name: str, target: Path) -> dict[str, int]:
    """The engine's directory as it is now. Its parts never change once they are written, so links are enough."""
    await _end_removing(engine)
    rows = {}
    for table in TABLES:
        [[rows[table]]] = await engine.lookup(f"SELECT count() FROM {table} FINAL")  # noqa: S608 - tables of ours
        await engine.command(f"ALTER TABLE {table} FREEZE WITH NAME '{name}'")
    await asyncio.to_thread(_gather, analytics, analytics / "store" / SHADOW / name, target)
    return rows


async def _end_removing(engine: Engine) -> None:
    """Wait for rows that are on their way out: the copy would go on removing them and be taken for a damaged one."""
    try:
        async with asyncio.timeout(REMOVING_SECONDS_MAX):
            while await engine.lookup(UNDONE) != [[0]]:  # noqa: ASYNC110 - only the engine knows
                await asyncio.sleep(REMOVING_LOOK_SECONDS)
    except TimeoutError:
        raise errors.Unavailable("Rows are being removed for long already; try later.") from None


def _gather(analytics: Path, frozen: Path, target: Path) -> None:
    """The frozen parts in their places, and beside them what says what they are."""
    target.mkdir(mode=0o700)
    store = target / "store"
    # Nothing was frozen where every table is empty.
    if frozen.exists():
        frozen.rename(store)
    copy_small(analytics, target)


def copy_small(source: Path, target: Path) -> None:
    """Copy everything but the parts of tables; what is there already stays."""
    target.mkdir(mode=0o700, exist_ok=True)
    for entry in source.iterdir():
        if entry.name in LEFT_OUT:
            continue
        if entry.is_symlink():
            (target / entry.name).symlink_to(os.readlink(entry))
        elif not entry.is_dir():
            shutil.copyfile(entry, target / entry.name)
        elif not is_part(entry):
            copy_small(entry, target / entry.name)


def is_part(folder: Path) -> bool:
    """Whether it is a part of a table, whole or being written."""
    return folder.name.startswith("tmp") or (folder / "checksums.txt").exists() or (folder / "columns.txt").exists()


def _add_the_rest(data_dir: Path, stage: Path) -> None:
    if (stage / DATABASE_NAME).exists():
        forget_salts(stage / DATABASE_NAME)
    if (stage / QUEUE_NAME).exists():
        end_journal(stage / QUEUE_NAME)
    if (data_dir / SECRET_NAME).exists():
        shutil.copyfile(data_dir / SECRET_NAME, stage / SECRET_NAME)
    if (data_dir / PICTURES_NAME).exists():
        shutil.copytree(data_dir / PICTURES_NAME, stage / PICTURES_NAME, copy_function=os.link)


def hold(folder: Path) -> int:
    """Have a stage left alone until the descriptor is closed, or this process ends however it ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def clear(data_dir: Path) -> None:
    """Remove stages that nobody takes any more. Called before another is made, and at every start."""
    shadow = data_dir / ANALYTICS_NAME / "store" / SHADOW
    for name in {folder.name for parent in (data_dir, shadow) for folder in parent.glob(f"{PREFIX}*")}:
        # What is frozen for a stage is whose the stage is.
        if not _is_taken(data_dir / name):
            for folder in (data_dir / name, shadow / name):
                shutil.rmtree(folder, ignore_errors=True)
            log.warning("Removed %s, left by a backup that was ended.", data_dir / name)


def _is_taken(stage: Path) -> bool:
    """Whether somebody holds it, or is about to."""
    try:
        if abs(time.time() - stage.stat().st_mtime) <= HANDOVER_SECONDS:
            return True
        descriptor = os.open(stage, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
