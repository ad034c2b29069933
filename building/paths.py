"""Where things stand in the repository and what every step shares: running a command, hashing, stamping."""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / ".build"
VENV = ROOT / ".venv"
SDK_VENV = ROOT / ".venv-sdk"
PACKAGE = ROOT / "vemetric"
STATIC = PACKAGE / "static"
STATIC_DIST = STATIC / "dist"
TEST_PAGES = ROOT / "tests" / "npm"
EXECUTABLE = ROOT / "dist" / "vemetric.pyz"


class BuildError(Exception):
    """A step cannot go on. The message is one sentence for the person at the terminal."""


def say(text: str) -> None:
    """Print a line of progress, at once."""
    print(f"build: {text}", flush=True)


def run(command: Sequence[str | Path], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> None:
    """Run a command that must succeed; its output goes to the terminal. Raises BuildError."""
    code = subprocess.call([str(part) for part in command], cwd=cwd, env={**os.environ, **(env or {})})
    if code:
        raise BuildError(f"`{' '.join(str(part) for part in command)}` failed with exit code {code}")


def works(command: Sequence[str | Path]) -> bool:
    """Tell whether a command can be run and exits with 0."""
    try:
        return subprocess.run([str(part) for part in command], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let one build at a time work in this tree; a second one waits and then finds everything done."""
    WORK.mkdir(exist_ok=True)
    with (WORK / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say("waiting for another build in this tree")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def digest(files: Iterable[Path], *, relative_to: Path, salt: str = "") -> str:
    """Hash names and contents of files, in the order of their names, to 64 hexadecimal digits."""
    total = hashlib.sha256(salt.encode())
    for name, file in sorted((file.relative_to(relative_to).as_posix(), file) for file in files):
        total.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def files_below(folder: Path) -> list[Path]:
    """List the files of a folder and of those in it, without compiled Python and hidden files."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [
        path
        for path in found
        if path.suffix != ".pyc" and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def is_stamped(stamp: Path, content: str) -> bool:
    """Tell whether a step was last done with exactly this input."""
    return stamp.is_file() and stamp.read_text() == content


def write_stamp(stamp: Path, content: str) -> None:
    """Note that a step is done; written last, so that an interrupted step is done again."""
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(content)


def python_tag() -> str:
    """Name the running interpreter's minor version and platform, e.g. `cpython-311-x86_64-linux-gnu`."""
    soabi = sysconfig.get_config_var("SOABI")
    return str(soabi or f"{sys.implementation.name}-{sys.version_info[0]}{sys.version_info[1]}-{sys.platform}")
