#!/usr/bin/env python3
"""Build, run and test Vemetric with nothing but Python 3.11, 3.12 or 3.13 and the package registries.

This file stays readable to any old Python, so that a wrong one gets a sentence and not a syntax error;
the steps themselves are in building/.
"""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    version = ".".join(str(part) for part in sys.version_info[:2])
    sys.exit("build.py needs Python 3.11, 3.12 or 3.13, and this is " + version + "; try: python3.11 build.py")

from building import commands

if __name__ == "__main__":
    sys.exit(commands.main(sys.argv[1:]))
