"""Ask the analytics store of a stopped server, in a process of its own: a process can hold one engine only.

python -m tests.kit.rows DATA_DIR SQL prints the rows as JSON.
"""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from vemetric.clickhouse.embedded import EmbeddedEngine
from vemetric.model.data_directory import ANALYTICS_NAME

ROOT = Path(__file__).parents[2]


def of(data_dir: Path, sql: str) -> list[list[Any]]:
    """The rows of a SELECT over the store in a data directory that no process owns."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.kit.rows", str(data_dir), sql], cwd=ROOT, capture_output=True, check=True
    )
    rows: list[list[Any]] = msgspec.json.decode(done.stdout)
    return rows


async def read(data_dir: Path, sql: str) -> list[list[Any]]:
    engine = await EmbeddedEngine.open(data_dir / ANALYTICS_NAME)
    try:
        return await engine.query(sql)
    finally:
        await engine.close()


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(read(Path(sys.argv[1]), sys.argv[2]))))
