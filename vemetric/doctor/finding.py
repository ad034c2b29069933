"""What the doctor answers: a finding, and the facts of the machine that checks look at."""

import os
import resource
import shutil
import time
from pathlib import Path
from typing import NamedTuple

from vemetric.config import Config

PROBLEM, NOTE = "problem", "note"
MOUNTS = Path("/proc/self/mountinfo")


class Finding(NamedTuple):
    """Something that is not as it should be. level: a problem, or a note about what may be meant so."""

    check: str
    level: str
    what: str
    fix: str


class Machine(NamedTuple):
    """What is looked at outside of the settings and the stores; tests plant other facts.

    running: what the running process says of itself (see commands.identify), None where none runs. mounts: the text of
    /proc/self/mountinfo. files_max: how many files a process may have open.
    """

    running: dict[str, str] | None
    now: float
    mounts: str
    disk_bytes: int
    free_bytes: int
    files_max: int
    uid: int

    @classmethod
    def read(cls, config: Config, running: dict[str, str] | None) -> "Machine":
        """The machine as it is."""
        disk = shutil.disk_usage(nearest(config.data_dir))
        files_max = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if running is not None:
            files_max = int(running["filesMax"])
        return cls(
            running=running,
            now=time.time(),
            mounts=MOUNTS.read_text() if MOUNTS.exists() else "",
            disk_bytes=disk.total,
            free_bytes=disk.free,
            files_max=files_max,
            uid=os.geteuid(),
        )


def nearest(path: Path) -> Path:
    """The path, or the closest directory above it that is seen to exist."""
    path = path.absolute()
    while not os.path.exists(path):
        path = path.parent
    return path
