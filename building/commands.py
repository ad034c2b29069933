"""What build.py can be told to do, in one table."""

import sys
from collections.abc import Callable, Sequence

from building import frontend
from building.paths import BuildError


def assets(_arguments: Sequence[str]) -> int:
    frontend.build()
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"assets": assets}


def main(arguments: Sequence[str]) -> int:
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except BuildError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 1
