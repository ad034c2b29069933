"""What the system gives a build: packages, for the few things that no registry of a language brings, and a home."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from building.paths import WORK, BuildError, run, say

QUIETLY = {"DEBIAN_FRONTEND": "noninteractive"}
# What tells npm and pip where to keep what they fetch; by themselves they fail in a home that cannot be written.
CACHES = {
    "HOME": WORK / "caches",
    "npm_config_cache": WORK / "caches" / "npm",
    "PIP_CACHE_DIR": WORK / "caches" / "pip",
}


def caches() -> dict[str, str]:
    """Places for the caches of npm and pip, where there is no home for them and nobody has named others.

    An account that the system does not know, as containers are run by, has no home at all, and npm does not start then.
    """
    if os.access(os.path.expanduser("~"), os.W_OK):
        return {}
    return {name: str(folder) for name, folder in CACHES.items() if name not in os.environ}


def install_package(name: str, *, what_for: str) -> bool:
    """Install a Debian package if there is apt and we are root; tell whether it is there now."""
    apt = shutil.which("apt-get")
    if not apt or os.getuid() != 0:
        return False
    say(f"installing {name} with apt-get, {what_for}")
    try:
        run([apt, "update", "-qq"], env=QUIETLY)
        run([apt, "install", "-y", "-qq", "--no-install-recommends", name], env=QUIETLY)
    except BuildError as error:
        say(str(error))
        return False
    return True


def unpack_packages(names: Sequence[str], folder: Path) -> None:
    """Unpack Debian packages, and what they need and this machine lacks, into a folder that is made anew.

    Any account may, as nothing is installed and apt keeps its own files in the folder meanwhile. Raises BuildError.
    """
    apt = shutil.which("apt-get")
    if not apt or not shutil.which("dpkg"):
        raise BuildError(f"{', '.join(names)} can be fetched on Debian and its like only, with apt-get")
    shutil.rmtree(folder, ignore_errors=True)
    state = folder / "apt"
    for needed in ("lists/partial", "cache/archives/partial"):
        (state / needed).mkdir(parents=True)
    own = {"Dir::State::lists": "lists", "Dir::Cache": "cache", "Dir::Log": "log"}
    options = [word for name, path in own.items() for word in ("-o", f"{name}={state / path}")]
    options += ["-o", "Debug::NoLocking=true", "-o", "APT::Sandbox::User=root", "-qq"]
    try:
        run([apt, *options, "update"], env=QUIETLY)
    except BuildError as error:
        # One source of several may be away, and the packages come from another.
        say(str(error))
    only = ["--yes", "--download-only", "--no-install-recommends", "--reinstall"]
    run([apt, *options, "install", *only, *names], env=QUIETLY)
    for package in sorted((state / "cache" / "archives").glob("*.deb")):
        run(["dpkg", "-x", package, folder])
    shutil.rmtree(state)
