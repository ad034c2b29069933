"""Whether the data directory is the one that a server works with. Asked by the command line before it opens stores: in
a directory of a mistyped VEMETRIC_DATA_DIR it would make empty ones, and answer all that it is asked with nothing.
"""

import os

from vemetric import errors
from vemetric.backup import before
from vemetric.clickhouse import directory
from vemetric.config import Config
from vemetric.model.data_directory import ANALYTICS_NAME, DATABASE_NAME, QUEUE_NAME


def require(config: Config) -> None:
    """Raises Misconfigured where a store of the data directory is not there; InUse where a start may be making it."""
    if not fault(config):
        return
    for folder in (config.data_dir, config.data_dir / ANALYTICS_NAME):
        if os.path.exists(folder / directory.LOCK_NAME):
            os.close(directory.lock(folder))
    # Whoever had it may have been done just before.
    if told := fault(config):
        raise errors.Misconfigured(told)


def is_new(config: Config) -> bool:
    """Whether the settings keep stores in the data directory, and none was ever there."""
    try:
        there, missing = _stores(config)
        return bool(missing) and not there and not _is_between(config)
    except PermissionError:
        return False


def fault(config: Config) -> str:
    """What is missing, as a sentence that says what to look at; '' where all is there, or is on its way back."""
    told = f"VEMETRIC_DATA_DIR is {str(config.data_dir)!r}: "
    try:
        there, missing = _stores(config)
        if not missing or _is_between(config):
            return ""
        is_directory = config.data_dir.exists()
    except PermissionError:
        return f"{told}this user may not look into it. Commands are for the user that the server runs as."
    if there:
        return (
            f"{told}there is {' and '.join(there)}, but no {' and no '.join(missing)}. Set whatever is set for the "
            "server, the addresses of its stores too; `vemetric serve` makes what a first start had no time for."
        )
    what = "holds no data of Vemetric" if is_directory else "does not exist"
    return f"{told}it {what}. Name the directory that the server works with; `vemetric serve` makes a new one."


def _stores(config: Config) -> tuple[list[str], list[str]]:
    """The stores that the settings keep in the data directory: those that are there, and those that are not."""
    files = {
        # The directory alone is made by a start that then has to wait.
        ANALYTICS_NAME: "" if config.clickhouse else f"{ANALYTICS_NAME}/{directory.FORMAT_NAME}",
        DATABASE_NAME: "" if config.database_url else DATABASE_NAME,
        QUEUE_NAME: "" if config.redis_url else QUEUE_NAME,
    }
    kept = {name: config.data_dir / file for name, file in files.items() if file}
    there = [name for name, path in kept.items() if path.exists()]
    return there, [name for name in kept if name not in there]


def _is_between(config: Config) -> bool:
    """Whether stores are being moved into place, by a restore or back from an upgrade; a start knows."""
    folder = config.data_dir
    return any(
        path.exists()
        for path in (folder / before.INCOMING / before.WHOLE_NAME, folder / before.FOLDER_NAME / before.GOING_BACK_NAME)
    )
