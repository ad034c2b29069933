"""How long a start takes, until the first answer, and which imports it is spent on.

python3 build.py bench start [--rounds 5]

A version's first start unpacks it; the first start over a directory makes the stores; later ones only open them.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

from tests.kit.process import EXECUTABLE, free_port

LOOK_SECONDS = 0.005
IMPORTS_SHOWN = 8
IMPORT_LINE = re.compile(r"import time: +\d+ \| +(\d+) \|( +)([\w.]+)$", re.MULTILINE)


def environ(folder: Path, port: int) -> dict[str, str]:
    return {
        "SHIV_ROOT": str(folder / "unpacked"),
        "VEMETRIC_DATA_DIR": str(folder / "data"),
        "VEMETRIC_LISTEN": f"127.0.0.1:{port}",
    }


def seconds_to_first_answer(folder: Path) -> float:
    """Start the server, wait for /up, stop it."""
    port = free_port()
    started = time.perf_counter()
    command = [sys.executable, EXECUTABLE, "serve"]
    with subprocess.Popen(command, env=environ(folder, port), stderr=subprocess.DEVNULL) as process:
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}/up", timeout=5):
                    break
            except OSError:
                time.sleep(LOOK_SECONDS)
        taken = time.perf_counter() - started
        process.terminate()
    return taken


def slowest_imports(folder: Path) -> list[tuple[str, float]]:
    """The top-level packages that cost most to import, each with all it brings, in milliseconds."""
    packages = next((folder / "unpacked").glob("*/site-packages"))
    command = [sys.executable, "-X", "importtime", "-c", "import vemetric.serve"]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(packages)}, capture_output=True, text=True, check=True
    )
    whole = {name: int(microseconds) / 1000 for microseconds, _, name in IMPORT_LINE.findall(done.stderr)}
    roots = {name: spent for name, spent in whole.items() if "." not in name or name == "vemetric.serve"}
    return sorted(roots.items(), key=lambda item: -item[1])[:IMPORTS_SHOWN]


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=5)
    rounds = options.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"unpacking, new data: {seconds_to_first_answer(folder):.2f} s")
        fresh = []
        for _ in range(rounds):
            shutil.rmtree(folder / "data")
            fresh.append(seconds_to_first_answer(folder))
        print(f"unpacked, new data:  {statistics.median(fresh):.2f} s (median of {rounds})")
        later = [seconds_to_first_answer(folder) for _ in range(rounds)]
        print(f"unpacked, old data:  {statistics.median(later):.2f} s (median of {rounds})")
        for package, milliseconds in slowest_imports(folder):
            print(f"  import {package:20} {milliseconds:6.0f} ms with all it brings")


if __name__ == "__main__":
    main()
