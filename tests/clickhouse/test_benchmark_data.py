"""The benchmarks' generator, which other figures stand on, makes whole and equal traffic."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def made(path: Path) -> list[str]:
    """The counts of each table that the generator reports."""
    command = [sys.executable, str(ROOT / "benchmarks" / "data.py"), "--directory", str(path)]
    command += ["--events", "5000", "--months", "2", "--projects", "2", "--until-ms", "1767225600000", "--merge"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=path.parent)
    return [line.split(" rows ")[0] for line in done.stdout.splitlines() if " rows " in line]


def test_equal_arguments_make_equal_traffic(tmp_path: Path) -> None:
    first, second = made(tmp_path / "first"), made(tmp_path / "second")
    assert first == second
    counts = {line.split()[0]: int(line.split()[1].replace(",", "")) for line in first}
    assert 4_000 < counts["event"] < 6_000
    assert 0 < counts["user"] < counts["device"] <= counts["session"] < counts["event"]
