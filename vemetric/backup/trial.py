"""Whether a backup can be started from: its analytics are opened as a start opens them, and counted. Nothing of the
backup is changed; the engine gets a folder of links, or of copies where the disk knows no links.
"""

import os
import shutil
import tempfile
from pathlib import Path

from vemetric import errors
from vemetric.backup import manifest, sqlite_files
from vemetric.backup.manifest import Manifest
from vemetric.clickhouse.embedded import EmbeddedEngine
from vemetric.config import Config
from vemetric.model.data_directory import ANALYTICS_NAME, DATABASE_NAME, QUEUE_NAME
from vemetric.model.probe import Probe, nothing

FOLDER_PREFIX = "vemetric-trial-"


async def try_out(folder: Path, found: Manifest, config: Config, probe: Probe = nothing) -> None:
    """Invalid says what is wrong with the copy in `folder`. No engine may be open in this process."""
    for name in (DATABASE_NAME, QUEUE_NAME):
        if (folder / name).exists():
            sqlite_files.check(folder / name)
    if (folder / ANALYTICS_NAME).exists():
        # Within, so that it goes with what was brought in where this is killed.
        trial = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=folder))
        try:
            link_tree(folder / ANALYTICS_NAME, trial / ANALYTICS_NAME)
            probe("trial:linked")
            await _count(trial / ANALYTICS_NAME, found.rows, config)
        finally:
            shutil.rmtree(trial, ignore_errors=True)


def link_tree(source: Path, target: Path) -> None:
    """The same tree, its large files by links: the engine replaces files and never writes into one."""
    target.mkdir(mode=0o700, parents=True)
    for path in manifest.walk(source):
        to = target / path.relative_to(source)
        if path.is_symlink():
            to.symlink_to(os.readlink(path))
        elif path.is_dir():
            to.mkdir(mode=0o700)
        elif path.suffix in (".bin", ".idx", ".cidx") or ".mrk" in path.name or ".cmrk" in path.name:
            link(path, to)
        else:
            shutil.copyfile(path, to)


def link(source: Path, target: Path) -> None:
    """Another name for the file, or a copy of it where that cannot be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


async def _count(analytics: Path, rows: dict[str, int], config: Config) -> None:
    engine = await EmbeddedEngine.open(analytics, memory_bytes_max=config.engine_memory_mb * 1_000_000)
    try:
        for table, wanted in rows.items():
            # Every byte of the table against the sums that the engine keeps of it.
            checked = await engine.query(f"CHECK TABLE {table} SETTINGS check_query_single_value_result = 1")
            if checked != [[1]]:
                raise errors.Invalid(f"The table {table} of the backup is damaged.")
            [[held]] = await engine.query(f"SELECT count() FROM {table} FINAL")  # noqa: S608 - names of ours
            if held != wanted:
                raise errors.Invalid(f"The table {table} of the backup holds {held:,} rows instead of {wanted:,}.")
    finally:
        await engine.close()
