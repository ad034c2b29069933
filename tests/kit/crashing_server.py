"""The product, killing itself with SIGKILL the n-th time it reaches a named moment between two steps.

VEMETRIC_TEST_CRASH_AT names the moment, VEMETRIC_TEST_CRASH_TURN the n. Arguments are those of the command line.
"""

import os
import signal
import sys
from pathlib import Path

# In place of this folder, whose modules are named like those of the standard library.
sys.path[0] = str(Path(__file__).parents[2])

from vemetric import cli  # noqa: E402 - the path is set first


class Crash:
    """Counts arrivals at the moment and ends the process at the n-th."""

    def __init__(self, moment: str, turn: int) -> None:
        self._moment = moment
        self._left = turn

    def __call__(self, moment: str) -> None:
        if moment != self._moment:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    crash = Crash(os.environ["VEMETRIC_TEST_CRASH_AT"], int(os.environ["VEMETRIC_TEST_CRASH_TURN"]))
    sys.exit(cli.main(sys.argv[1:], probe=crash))
