"""Packages of the operating system, for the few things that no language's registry brings."""

import os
import shutil

from building.paths import BuildError, run, say


def install_package(name: str, *, what_for: str) -> bool:
    """Install a Debian package if there is apt and we are root; tell whether it is there now."""
    apt = shutil.which("apt-get")
    if not apt or os.getuid() != 0:
        return False
    say(f"installing {name} with apt-get, {what_for}")
    quietly = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run([apt, "update", "-qq"], env=quietly)
        run([apt, "install", "-y", "-qq", "--no-install-recommends", name], env=quietly)
    except BuildError as error:
        say(str(error))
        return False
    return True
