"""How long a start takes, until the first answer and the first event, and which imports it is spent on.

python3 build.py bench start [--rounds 5]

A version's first start unpacks it; the first start over a directory makes the stores; later ones only open them.
All times count from the command. The project of the first event is made through the control socket; an event is
accepted when the hub says so, and stored when `vemetric verify` counts it.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.kit.process import EXECUTABLE, free_port
from vemetric import control

LOOK_SECONDS = 0.005
DOMAIN = "shop.example"
HIT = json.dumps({"name": "$$pageView", "url": f"https://{DOMAIN}/"}).encode()
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


def seconds_to_first_event(folder: Path) -> tuple[float, float]:
    """Start the server, send an event as soon as there is a project; until it is accepted, and until it is stored."""
    port = free_port()
    started = time.perf_counter()
    command = [sys.executable, EXECUTABLE, "serve"]
    with subprocess.Popen(command, env=environ(folder, port), stderr=subprocess.DEVNULL) as process:
        project = asked(folder, "project create", name="Shop", domain=DOMAIN)
        hit = Request(
            f"http://127.0.0.1:{port}/e", HIT, {"Token": project["token"], "Content-Type": "application/json"}
        )
        while not is_accepted(hit):
            time.sleep(LOOK_SECONDS)
        accepted = time.perf_counter() - started
        while asked(folder, "verify")["stored"] < 1:
            time.sleep(LOOK_SECONDS)
        stored = time.perf_counter() - started
        process.terminate()
    return accepted, stored


def asked(folder: Path, command: str, **arguments: str) -> dict[str, Any]:
    """What the process answers on its control socket, as soon as it listens there."""
    while True:
        try:
            return control.ask(folder / "data", command, arguments)
        except control.NotListening:
            time.sleep(LOOK_SECONDS)


def is_accepted(hit: Request) -> bool:
    try:
        with urlopen(hit, timeout=5):
            return True
    except HTTPError:
        raise
    except OSError:
        return False


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
        events = []
        for _ in range(rounds):
            shutil.rmtree(folder / "data")
            events.append(seconds_to_first_event(folder))
        accepted, stored = (statistics.median(moments) for moments in zip(*events, strict=True))
        print(f"first event, new data: accepted {accepted:.2f} s, stored {stored:.2f} s (medians of {rounds})")
        for package, milliseconds in slowest_imports(folder):
            print(f"  import {package:20} {milliseconds:6.0f} ms with all it brings")


if __name__ == "__main__":
    main()
