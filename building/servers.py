"""Redis, PgBouncer, nginx, Caddy and an ACME server (Pebble) for the tests, unpacked from Debian's packages and never
installed: nothing starts by itself.

PostgreSQL and Valkey come with the Python packages of the test group; tests/kit/servers.py starts all of them.
"""

import os
import shutil
from pathlib import Path

from building import system
from building.paths import WORK, BuildError, say, works

PACKAGES = ("redis-tools", "pgbouncer", "nginx", "caddy", "pebble")
UNPACKED = WORK / "servers"
LIBRARIES = UNPACKED / "usr" / "lib" / "x86_64-linux-gnu"
# Debian's Redis is one program that does what the name says by which it is called.
PROGRAMS = {
    "redis-server": UNPACKED / "usr/bin/redis-server",
    "pgbouncer": UNPACKED / "usr/sbin/pgbouncer",
    "nginx": UNPACKED / "usr/sbin/nginx",
    "caddy": UNPACKED / "usr/bin/caddy",
    "pebble": UNPACKED / "usr/bin/pebble",
    "pebble-challtestsrv": UNPACKED / "usr/bin/pebble-challtestsrv",
}
# What a program is asked to see whether it starts here.
QUESTIONS = {"nginx": "-v", "caddy": "version", "pebble": "-h", "pebble-challtestsrv": "-h"}


def find() -> dict[str, Path]:
    """The programs that start here, unpacking them if needed; where one cannot be had, its tests are left out."""
    if not all(_starts(name) for name in PROGRAMS):
        try:
            _unpack()
        except BuildError as error:
            say(f"{error}; tests of the servers that are missing are left out")
    return {name: path for name in PROGRAMS if (path := path_of(name)) is not None}


def path_of(name: str) -> Path | None:
    """Where a program is: unpacked here, or installed on this machine."""
    if _starts(name):
        return PROGRAMS[name]
    installed = shutil.which(name)
    return Path(installed) if installed else None


def surroundings() -> dict[str, str]:
    """The environment in which an unpacked program finds its libraries."""
    return {**os.environ, "LD_LIBRARY_PATH": f"{LIBRARIES}:{os.environ.get('LD_LIBRARY_PATH', '')}"}


def _starts(name: str) -> bool:
    path, question = PROGRAMS[name], QUESTIONS.get(name, "--version")
    return path.exists() and works(["env", f"LD_LIBRARY_PATH={LIBRARIES}", path, question])


def _unpack() -> None:
    say("fetching Redis, PgBouncer, nginx, Caddy and Pebble for the tests with apt-get")
    system.unpack_packages(PACKAGES, UNPACKED)
    PROGRAMS["redis-server"].symlink_to("redis-check-rdb")
