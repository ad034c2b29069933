"""What build.py can be told to do, in one table."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from building import archive, checks, environment, frontend, pythons
from building.paths import EXECUTABLE, ROOT, BuildError, alone


class Command(NamedTuple):
    """A word after build.py, what it takes, what it does and what is said of it."""

    takes: str
    does: str
    run: Callable[[Sequence[str]], int]


def make_executable(_arguments: Sequence[str]) -> int:
    archive.build()
    return 0


def make_executables(arguments: Sequence[str]) -> int:
    """Make one for each Python, or for those that are named."""
    unknown = set(arguments) - set(pythons.MINORS)
    if unknown:
        raise BuildError(f"there is none for Python {min(unknown)}; there are: {', '.join(pythons.MINORS)}")
    archive.build_all(arguments or pythons.MINORS)
    return 0


def run_executable(arguments: Sequence[str]) -> int:
    """Become the server: signals reach it and its exit code is ours."""
    archive.build()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, str(EXECUTABLE), "serve", *arguments])


def make_assets(_arguments: Sequence[str]) -> int:
    with alone():
        frontend.build()
    return 0


def run_benchmarks(arguments: Sequence[str]) -> int:
    """Run one benchmark with its own arguments, or every one of them."""
    known = benchmarks()
    names = [arguments[0]] if arguments else known
    if not set(names) <= set(known):
        raise BuildError(f"there is no benchmark {names[0]}; there are: {', '.join(known)}")
    archive.build()
    with alone():
        python = environment.ensure("build", "runtime", "test")
    codes = [
        subprocess.call([python, f"benchmarks/{name}.py", *arguments[1:]], cwd=ROOT, env=checks.surroundings())
        for name in names
    ]
    return max(codes, default=0)


def benchmarks() -> list[str]:
    """Name the files in benchmarks/ that say how they are run; the others are what those share."""
    files = sorted((ROOT / "benchmarks").glob("*.py"))
    return [file.stem for file in files if f"build.py bench {file.stem}" in file.read_text(encoding="utf-8")]


def take_screenshot(_arguments: Sequence[str]) -> int:
    """Photograph the demo's dashboard for README."""
    archive.build()
    with alone():
        python = environment.ensure("build", "runtime", "test")
    return subprocess.call([python, "-m", "building.screenshot"], cwd=ROOT, env=checks.surroundings())


def make_locks(arguments: Sequence[str]) -> int:
    with alone():
        environment.write_locks(upgrade="--upgrade" in arguments)
    return 0


def run_checks(arguments: Sequence[str]) -> int:
    long = "--long" in arguments
    return checks.run_all([argument for argument in arguments if argument != "--long"], long=long)


COMMANDS = {
    "": Command("", "build dist/vemetric.pyz", make_executable),
    "all": Command("[3.12 ...]", "build one for each Python, dist/vemetric-py312.pyz and so on", make_executables),
    "run": Command("[option ...]", "build it and start the server, with `vemetric serve`'s options", run_executable),
    "test": Command(
        "[--long] [pytest argument ...]",
        "build it, install what the tests need, run linters and tests; with pytest arguments the tests only",
        run_checks,
    ),
    "assets": Command("", "gather the front-end parts in vemetric/static/dist/", make_assets),
    "bench": Command("[name [argument ...]]", "run one benchmark of benchmarks/, or all", run_benchmarks),
    "screenshot": Command("", "make README's picture, docs/dashboard.png, of the demo", take_screenshot),
    "lock": Command("[--upgrade]", "write requirements*.lock from pyproject.toml", make_locks),
}


def usage() -> str:
    lines = [f"  build.py {f'{name} {command.takes}':40} {command.does}" for name, command in COMMANDS.items()]
    return "\n".join(["What build.py does:", *lines])


def main(arguments: Sequence[str]) -> int:
    """Run a command and answer its exit code."""
    name = arguments[0] if arguments else ""
    if name in ("help", "--help", "-h"):
        print(usage())
        return 0
    if name not in COMMANDS:
        print(f"build.py: there is no command {name}\n{usage()}", file=sys.stderr)
        return 2
    try:
        return COMMANDS[name].run(arguments[1:])
    except BuildError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
