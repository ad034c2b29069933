"""A small file is there as a whole or not at all, and nobody else's."""

import stat
from pathlib import Path

import pytest

from vemetric.model import private_file


def test_what_is_written_takes_the_old_ones_place_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    path.write_bytes(b"old")
    path.chmod(0o644)
    private_file.write(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "secret.key.new").write_bytes(b"half of something longer")
    (tmp_path / "secret.key.new").chmod(0o666)
    private_file.write(tmp_path / "secret.key", b"new")
    assert (tmp_path / "secret.key").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600


def test_the_old_content_stays_when_the_new_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "format.json"
    private_file.write(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            private_file.write(path, b"new")
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize(("mode", "told"), [(0o700, ""), (0o500, ""), (0o750, "750"), (0o701, "701"), (0o755, "755")])
def test_says_who_else_may_look_into_a_directory(tmp_path: Path, mode: int, told: str) -> None:
    tmp_path.chmod(mode)
    assert private_file.open_to_others(tmp_path) == told
    tmp_path.chmod(0o700)
