"""The Pythons that executables are made for: names, tags, where each stands on this machine, which wheels fit which.

An executable carries compiled packages, so each minor version of Python has one of its own. All of them can be made
with any of these Pythons, as wheels are chosen by their tags.
"""

import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from building.paths import EXECUTABLE, WORK, python_tag, works

MINORS = ("3.11", "3.12", "3.13")
RUNNING = f"{sys.version_info[0]}.{sys.version_info[1]}"
# The oldest C library that the locks are resolved for, and all before it.
GLIBC_MINORS = range(28, 4, -1)
PLATFORMS = (*(f"manylinux_2_{minor}_x86_64" for minor in GLIBC_MINORS), "manylinux2014_x86_64", "linux_x86_64")


class Target(NamedTuple):
    """A Python to make an executable for. tag: of its compiled modules; folder: of what is made on the way."""

    minor: str
    tag: str
    folder: Path
    executable: Path


def target(minor: str = RUNNING) -> Target:
    """What stands where for a Python; the running one's executable has the plain name."""
    if minor == RUNNING:
        return Target(minor, python_tag(), WORK, EXECUTABLE)
    short = minor.replace(".", "")
    return Target(minor, f"cpython-{short}-x86_64-linux-gnu", WORK / f"py{short}", named(minor))


def named(minor: str) -> Path:
    """The executable's file among those for all Pythons."""
    return EXECUTABLE.with_name(f"vemetric-py{minor.replace('.', '')}.pyz")


def find(minor: str) -> Path | None:
    """A Python of this version: the running one, one on the path, or one installed beside the running one."""
    return next((python for python in _candidates(minor) if _is(python, minor)), None)


def can_choose_wheels() -> bool:
    """Whether this is the kind of machine that executables are made for, so that wheels are chosen by tags alone."""
    return platform.system() == "Linux" and platform.machine() == "x86_64"


def install_options(minor: str) -> list[str]:
    """What tells pip to choose the wheels of this Python, whichever runs it, and the same on every machine."""
    platforms = [option for name in PLATFORMS for option in ("--platform", name)]
    return ["--implementation", "cp", "--python-version", minor, *platforms]


def unfit(packages: Path, minor: str) -> list[str]:
    """The packages installed in a folder from a wheel that this Python cannot load."""
    return [
        folder.name.removesuffix(".dist-info")
        for folder in sorted(packages.glob("*.dist-info"))
        if not any(fits(tag, minor) for tag in wheel_tags(folder))
    ]


def wheel_tags(dist_info: Path) -> list[str]:
    """The tags that an installed wheel says it has."""
    lines = (dist_info / "WHEEL").read_text(encoding="utf-8").splitlines()
    return [line.removeprefix("Tag:").strip() for line in lines if line.startswith("Tag:")]


def fits(tag: str, minor: str) -> bool:
    """Whether CPython of this minor version on x86-64 Linux can load a wheel with the tag, such as cp311-abi3-any."""
    python, abi, where = tag.split("-")
    if where != "any" and where not in PLATFORMS and not where.startswith(("manylinux1_x", "manylinux2010_x")):
        return False
    ours = f"cp{minor.replace('.', '')}"
    if abi == "none":
        return python in ("py3", f"py{minor.replace('.', '')}", ours)
    if abi == "abi3":
        return python.startswith("cp3") and int(python[3:]) <= int(ours[3:])
    return (python, abi) == (ours, ours)


def _candidates(minor: str) -> Iterator[Path]:
    if minor == RUNNING:
        yield Path(sys.executable)
    on_path = shutil.which(f"python{minor}")
    if on_path:
        yield Path(on_path)
    # As pyenv and uv keep them: a folder per version, side by side.
    beside = sorted(Path(sys.base_prefix).parent.glob(f"*{minor}*/bin/python{minor}"))
    yield from beside


def _is(python: Path, minor: str) -> bool:
    expected = tuple(int(part) for part in minor.split("."))
    return works([python, "-c", f"import sys; sys.exit(sys.version_info[:2] != {expected!r})"])
