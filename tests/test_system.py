"""What the build asks of the system: packages, unpacked beside what we build as any account, and a home for caches."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from building import chromium, frontend, system
from building.paths import BuildError

NEEDED, NEEDING = "vemetric-test-needed", "vemetric-test-needing"


def packed(folder: Path, name: str, depends: str = "") -> str:
    """Make a package that holds one file, and answer what a source says of it."""
    laid = folder / name
    (laid / "DEBIAN").mkdir(parents=True)
    # Whatever the umask is: a command that another test ran in this process has made it strict.
    (laid / "DEBIAN").chmod(0o755)
    control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: Nobody\nDescription: test\n{depends}"
    (laid / "DEBIAN" / "control").write_text(control)
    (laid / "opt").mkdir()
    (laid / "opt" / name).write_text(name)
    file = folder / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--build", laid, file], check=True, capture_output=True)
    content = file.read_bytes()
    where = f"Filename: ./{file.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
    return f"{control}{where}\n"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source of two packages, the only one that apt knows of, and one of nothing that is away."""
    source = tmp_path / "source"
    source.mkdir()
    text = packed(source, NEEDED) + packed(source, NEEDING, f"Depends: {NEEDED}\n")
    (source / "Packages").write_text(text)
    sources = tmp_path / "sources.list"
    sources.write_text(f"deb [trusted=yes] copy:{source} ./\ndeb [trusted=yes] copy:{tmp_path}/away ./\n")
    settings = tmp_path / "apt.conf"
    # What is the machine's own is not to be touched, nor to be there.
    settings.write_text(
        f'Dir::Etc::SourceList "{sources}"; Dir::Etc::SourceParts "/dev/null"; Dir::State::lists "/dev/null/lists";\n'
        'Dir::Cache "/dev/null/cache"; Dir::Log "/dev/null/log";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(settings))
    return source


if shutil.which("apt-get"):

    def test_packages_are_unpacked_with_what_they_need_though_one_source_is_away(source: Path, tmp_path: Path) -> None:
        folder = tmp_path / "unpacked"
        (folder / "old").mkdir(parents=True)
        system.unpack_packages([NEEDING], folder)
        assert sorted(path.name for path in (folder / "opt").iterdir()) == [NEEDED, NEEDING]
        assert [path.name for path in folder.iterdir()] == ["opt"]
        with pytest.raises(BuildError, match="failed with exit code"):
            system.unpack_packages(["vemetric-test-unknown"], folder)


def test_without_apt_it_is_said_where_packages_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="redis-tools, nginx can be fetched on Debian and its like only"):
        system.unpack_packages(["redis-tools", "nginx"], tmp_path / "unpacked")


def test_caches_are_beside_the_build_where_the_home_cannot_hold_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert system.caches() == {}
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    monkeypatch.delenv("npm_config_cache", raising=False)
    monkeypatch.setenv("PIP_CACHE_DIR", "/named")
    assert system.caches() == {"npm_config_cache": str(system.CACHES["npm_config_cache"])}


def test_playwright_gets_another_node_where_its_own_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chromium, "VENV", tmp_path)
    monkeypatch.delenv(chromium.DRIVER_VARIABLE, raising=False)
    own = tmp_path / "lib" / "python3.11" / "site-packages" / "playwright" / "driver" / "node"
    assert chromium.driver() == {}
    own.parent.mkdir(parents=True)
    for code, told in ((0, {}), (127, {chromium.DRIVER_VARIABLE: frontend.find_node()[0]})):
        own.write_text(f"#!/bin/sh\nexit {code}\n")
        own.chmod(0o755)
        assert chromium.driver() == told
    monkeypatch.setenv(chromium.DRIVER_VARIABLE, "/named")
    assert chromium.driver() == {}
