"""The program's entry, for the executable and for `python -m vemetric`: hands the arguments to the command line."""

import sys

from vemetric import cli


def main() -> int:
    """Run the command that the arguments name and answer its exit code."""
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
