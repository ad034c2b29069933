"""An executable for each Python: made here, run where that Python is, equal bytes wherever and whenever it is made."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from building import archive, pythons
from building.paths import ROOT
from tests.kit.process import Server, wait_for

pytestmark = [pytest.mark.journey, pytest.mark.long]

SHOP = ("project", "create", "--name", "Shop", "--domain", "shop.test")
COPIED = ("build.py", "building", "docs", "vemetric", "mkdocs.yml", "pyproject.toml", "README.md", "LICENSE")
UNCOPIED = ("node_modules", "__pycache__", "dist")
# Neither folder nor time nor zone nor the rights of new files may leave a trace.
ELSEWHERE = {"TZ": "Pacific/Auckland", "LC_ALL": "C", "PYTHONHASHSEED": "7"}


@pytest.fixture(params=pythons.MINORS)
def executable(request: pytest.FixtureRequest) -> tuple[str, Path]:
    [made] = archive.build_all([request.param])
    return request.param, made


@pytest.mark.timeout(600)
def test_it_takes_an_event_on_its_python(executable: tuple[str, Path], tmp_path: Path) -> None:
    minor, made = executable
    python = pythons.find(minor)
    if python is None:
        assert pythons.unfit(pythons.target(minor).folder / "dependencies", minor) == []
        return
    server = Server(
        tmp_path / "data", environ={"SHIV_ROOT": str(tmp_path / "unpacked")}, command=(str(python), str(made))
    )
    try:
        token = server.start().run(*SHOP)["token"]
        body = json.dumps({"name": "$$pageView", "url": "https://www.shop.test/a"}).encode()
        headers = {"Token": token, "Content-Type": "application/json", "User-Agent": "curl/8.5.0"}
        with urlopen(Request(f"{server.url}/e", body, headers)) as answer:
            assert answer.status == 200
        wait_for(lambda: server.run("stats", "shop.test")["pageViews"] == 1, "the event in the figures")
        with urlopen(f"{server.url}/login") as page:
            assert page.status == 200
    finally:
        server.end()


@pytest.mark.timeout(1_200)
def test_equal_sources_give_equal_bytes(tmp_path: Path) -> None:
    made = []
    for folder, environ in ((tmp_path / "a", {}), (tmp_path / "another place" / "b", ELSEWHERE)):
        for name in COPIED:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns(*UNCOPIED))
            else:
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / name)
        for lock in ROOT.glob("requirements*.lock"):
            shutil.copyfile(lock, folder / lock.name)
        subprocess.run([sys.executable, "build.py"], cwd=folder, env=os.environ | environ, check=True, umask=0o027)
        made.append(folder / "dist" / "vemetric.pyz")
    first, second = (path.read_bytes() for path in made)
    assert first == second
    # And of the tree that is tested.
    assert first == archive.build().read_bytes()
