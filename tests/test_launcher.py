"""The executable's start (building/launcher.py), over a small archive made by the very steps that make the real one."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from building import archive, pythons

# What the small program does: says where it runs, waits for its input to close if told so, ends with a code of its own.
PROGRAM = """
import json, sys

import dependency


def main():
    sys.stdout.write(json.dumps({"arguments": sys.argv[1:], "file": __file__, "dependency": dependency.NAME}) + "\\n")
    sys.stdout.flush()
    if "wait" in sys.argv:
        sys.stdin.read()
    return 7
"""
UNPACKED_BYTES = 30_000_000

Made = Callable[..., Path]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A function that makes a small executable; a `note` makes another build, `ballast` a slow unpacking."""

    def made(note: str = "", *, ballast: bool = False) -> Path:
        folder = tmp_path_factory.mktemp("archive")
        packages, own = folder / "packages", folder / "own"
        (packages / "dependency").mkdir(parents=True)
        (packages / "dependency" / "__init__.py").write_text("NAME = 'ours'\n")
        if ballast:
            (packages / "dependency" / "ballast.bin").write_bytes(os.urandom(UNPACKED_BYTES))
        (own / "vemetric").mkdir(parents=True)
        (own / "vemetric" / "__init__.py").write_text(f"NOTE = {note!r}\n")
        (own / "vemetric" / "__main__.py").write_text(PROGRAM)
        archive.pack(Path(sys.executable), packages, folder / "base.pyz")
        archive.complete(folder / "base.pyz", own, folder / "vemetric.pyz", pythons.target())
        return folder / "vemetric.pyz"

    return made


@pytest.fixture(scope="module")
def executable(make: Made) -> Path:
    return make()


def start(
    executable: Path, *arguments: str, cwd: Path, env: Mapping[str, str | Path]
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(executable), *arguments]
    text_env = {name: str(value) for name, value in env.items()}
    return subprocess.run(command, cwd=cwd, env=text_env, capture_output=True, text=True, timeout=60, check=False)


def unpacked(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if not path.name.startswith("."))


def test_equal_input_gives_equal_bytes(make: Made) -> None:
    first, second = make("same"), make("same")
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != make("another").read_bytes()


def test_passes_arguments_and_exit_code(executable: Path, tmp_path: Path) -> None:
    done = start(executable, "serve", "--x", cwd=tmp_path, env={"SHIV_ROOT": tmp_path / "root"})
    said = json.loads(done.stdout)
    assert said["arguments"] == ["serve", "--x"]
    assert said["file"].startswith(str(tmp_path / "root"))
    assert done.returncode == 7
    assert done.stderr.count("\n") == 1
    assert start(executable, cwd=tmp_path, env={"SHIV_ROOT": tmp_path / "root"}).stderr == ""


def test_unpacks_into_the_cache_first(executable: Path, tmp_path: Path) -> None:
    done = start(executable, cwd=tmp_path, env={"HOME": tmp_path / "home"})
    assert json.loads(done.stdout)["file"].startswith(str(tmp_path / "home" / ".cache" / "vemetric"))
    assert not (tmp_path / "vemetric-data").exists()


def test_unpacks_beside_the_data_where_home_cannot_be_written(executable: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    env = {"HOME": tmp_path / "file" / "home", "VEMETRIC_DATA_DIR": tmp_path / "data"}
    done = start(executable, cwd=tmp_path, env=env)
    assert json.loads(done.stdout)["file"].startswith(str(tmp_path / "data" / ".runtime"))


def test_unpacks_into_a_private_temporary_folder_last(executable: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "temporary").mkdir()
    unusable = tmp_path / "file" / "x"
    env = {"HOME": unusable, "VEMETRIC_DATA_DIR": unusable, "TMPDIR": tmp_path / "temporary"}
    done = start(executable, cwd=tmp_path, env=env)
    root = tmp_path / "temporary" / f"vemetric-{os.getuid()}"
    assert json.loads(done.stdout)["file"].startswith(str(root))
    assert root.stat().st_mode & 0o777 == 0o700


def test_takes_no_folder_that_others_may_write(executable: Path, tmp_path: Path) -> None:
    shared = tmp_path / "home" / ".cache" / "vemetric"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    done = start(executable, cwd=tmp_path, env={"HOME": tmp_path / "home"})
    assert json.loads(done.stdout)["file"].startswith(str(tmp_path / "vemetric-data" / ".runtime"))


def test_says_in_one_line_that_it_cannot_unpack(executable: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = start(executable, cwd=tmp_path, env={"SHIV_ROOT": tmp_path / "file" / "root"})
    assert done.returncode == 1
    assert done.stderr.startswith("vemetric: cannot unpack: ")
    assert "SHIV_ROOT" in done.stderr
    assert done.stderr.count("\n") == 1


def test_ours_comes_before_pythonpath(executable: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "dependency.py").write_text("NAME = 'theirs'\n")
    env = {"SHIV_ROOT": tmp_path / "root", "PYTHONPATH": tmp_path / "theirs"}
    assert json.loads(start(executable, cwd=tmp_path, env=env).stdout)["dependency"] == "ours"


def test_several_at_once_at_first_start(executable: Path, tmp_path: Path) -> None:
    env = {"SHIV_ROOT": str(tmp_path / "root")}
    running = [
        subprocess.Popen([sys.executable, executable], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(4)
    ]
    outputs = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [7] * 4, outputs
    assert len(unpacked(tmp_path / "root")) == 1


def test_starts_after_being_killed_while_unpacking(make: Made, tmp_path: Path) -> None:
    executable, root = make(ballast=True), tmp_path / "root"
    env = {"SHIV_ROOT": str(root)}
    with subprocess.Popen([sys.executable, executable], env=env, stdout=subprocess.PIPE) as process:
        while not list(root.glob("*.tmp")) and process.poll() is None:
            pass
        process.send_signal(signal.SIGKILL)
    done = start(executable, cwd=tmp_path, env=env)
    assert done.returncode == 7, done.stderr
    packed = Path(json.loads(done.stdout)["file"]).parents[1] / "dependency" / "ballast.bin"
    assert packed.stat().st_size == UNPACKED_BYTES


def test_removes_other_builds_unless_they_run(make: Made, tmp_path: Path) -> None:
    old, new, env = make("old"), make("new"), {"SHIV_ROOT": str(tmp_path / "root")}
    with subprocess.Popen(
        [sys.executable, old, "wait"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline()
        (old_name,) = unpacked(tmp_path / "root")
        start(new, cwd=tmp_path, env=env)
        assert len(unpacked(tmp_path / "root")) == 2
        running.communicate(b"")
    (tmp_path / "root" / f"{old_name}.tmp").mkdir()  # as a kill would leave it
    start(new, cwd=tmp_path, env=env)
    assert len(unpacked(tmp_path / "root")) == 1
    assert start(old, cwd=tmp_path, env=env).returncode == 7


def test_uses_an_unpacking_it_may_only_read(executable: Path, tmp_path: Path) -> None:
    env = {"SHIV_ROOT": tmp_path / "root"}
    start(executable, cwd=tmp_path, env=env)
    for marker in (tmp_path / "root").glob(".*"):
        marker.unlink()
    (tmp_path / "root").chmod(0o555)
    try:
        assert start(executable, cwd=tmp_path, env=env).returncode == 7
    finally:
        (tmp_path / "root").chmod(0o755)


@pytest.mark.parametrize(
    ("pretend", "sentence"),
    [
        ("sys.version_info = (3, 8, 1)", "this is Python 3.8; start it with: python"),
        ("sys.version_info = (2, 7, 18)", "this is Python 2.7; start it with: python"),
        ("machinery.EXTENSION_SUFFIXES = ['.cpython-311-aarch64-linux-gnu.so']", "for cpython-311-aarch64-linux-gnu"),
    ],
)
def test_wrong_python_or_platform_gets_one_line(executable: Path, tmp_path: Path, pretend: str, sentence: str) -> None:
    code = f"import runpy, sys; from importlib import machinery; {pretend}; runpy.run_path({str(executable)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
