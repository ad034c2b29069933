"""A data directory as a server leaves it, as far as the doctor looks at it."""

import os
from pathlib import Path

import pytest

# When it was written; not after the times of the machines that the tests make up.
WRITTEN_AT = 1_790_000_000.0


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """With the files of an older version, empty, and closed to others."""
    made = tmp_path / "data"
    made.mkdir(mode=0o700)
    (made / "analytics").mkdir(mode=0o700)
    (made / "analytics" / "format.json").write_text('{"format": 1, "engine": "1.0.0"}')
    for name in ("vemetric.db", "queue.db"):
        (made / name).touch(mode=0o600)
        os.utime(made / name, (WRITTEN_AT, WRITTEN_AT))
    return made
