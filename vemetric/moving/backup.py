"""`vemetric backup`: have a moment of the stores staged by whoever owns them, take it to a folder, and try it out.

The long part, copying and reading it all again, is done here, in the process of the command, and costs the server none
of its time.
"""

import asyncio
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from vemetric import errors
from vemetric.backup import manifest, stage, trial
from vemetric.backup.manifest import DATA_NAME, Manifest
from vemetric.config import Config

# What asks the running process, or does it here without one.
Do = Callable[[str, dict[str, Any]], dict[str, Any]]
STAGE_COMMAND = "backup stage"
# What an operator's own tools have to do, by the setting that names the server.
THEIR_PART = {
    "DATABASE_URL": "PostgreSQL: pg_dump --format=custom",
    "REDIS_URL": "Redis: copy its append-only directory, or BGSAVE and the dump file; before the other stores",
    "CLICKHOUSE_URL": "ClickHouse: BACKUP DATABASE ... TO Disk(...), or clickhouse-backup",
    "AWS_S3_ENDPOINT": "the bucket of pictures: its versioning, or a copy",
}


def take(config: Config, folder: Path, do: Do) -> dict[str, Any]:
    """Write a backup into the folder, which must be new or empty, and check it. Raises Invalid where it is not."""
    folder = folder.absolute()
    is_ours = _make_empty(folder)
    try:
        return _take(config, folder, do)
    except BaseException:
        if is_ours:
            # Unless there is something in it that is not ours.
            with suppress(OSError):
                folder.rmdir()
        raise


def _take(config: Config, folder: Path, do: Do) -> dict[str, Any]:
    started_at = time.time()
    staged = do(STAGE_COMMAND, {})
    source = Path(staged["stage"])
    held = stage.hold(source)
    try:
        (folder / DATA_NAME).mkdir(mode=0o700)
        files, links = manifest.copy(source, folder / DATA_NAME)
        written = Manifest(int(started_at * 1000), staged["rows"], files, links, staged["onServers"])
        manifest.check(folder / DATA_NAME, written)
        asyncio.run(trial.try_out(folder / DATA_NAME, written, config))
        manifest.write(folder, written)
    except OSError as error:
        _clean(folder)
        raise errors.Unavailable(f"{folder} cannot be written: {error.strerror or error}.") from error
    except BaseException:
        _clean(folder)
        raise
    finally:
        shutil.rmtree(source, ignore_errors=True)
        os.close(held)
    return {
        "folder": str(folder),
        "files": len(files),
        "bytes": written.size,
        "events": written.rows.get("event", 0),
        "seconds": round(time.time() - started_at, 1),
        "onServers": [{"setting": name, "yourPart": THEIR_PART[name]} for name in staged["onServers"]],
    }


def _make_empty(folder: Path) -> bool:
    """Have an empty folder. Returns whether it was not there before."""
    try:
        is_new = not folder.exists()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise errors.Invalid(f"{folder} is not empty; a backup has a folder of its own.")
    except OSError as error:
        raise errors.Invalid(f"{folder} cannot be a folder for a backup: {error.strerror}.") from error
    return is_new


def _clean(folder: Path) -> None:
    """What is not whole is not left to be taken for a backup."""
    shutil.rmtree(folder / DATA_NAME, ignore_errors=True)
    (folder / manifest.NAME).unlink(missing_ok=True)
