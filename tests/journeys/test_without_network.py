"""The executable where there is no network at all: every page is whole, and nobody else is asked for anything."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.process import ROOT

pytestmark = [pytest.mark.journey, pytest.mark.browser]

SECTIONS = ("", "/users", "/events", "/funnels", "/settings")
PAGES_MIN = 50


def in_a_namespace_of_its_own(folder: Path) -> dict[str, object]:
    """What tests/kit/alone.py tells."""
    unshare = shutil.which("unshare")
    assert unshare, "this test needs `unshare` (util-linux), which makes a namespace without any route"
    # Whoever is not root may do so where accounts may have namespaces of users.
    alone = [unshare, *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--net"]
    tried = subprocess.run([*alone, "true"], capture_output=True, text=True, check=False)
    assert tried.returncode == 0, f"this test needs the right to make a network namespace: {tried.stderr}"
    inside = [*alone, sys.executable, "-m", "tests.kit.alone", str(folder)]
    done = subprocess.run(inside, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout)
    return told


def test_nothing_is_missing_and_nobody_is_asked(tmp_path: Path) -> None:
    told = in_a_namespace_of_its_own(tmp_path)
    assert told["interfaces"] == ["lo"]
    pages = told["pages"]
    assert isinstance(pages, list)
    assert len(pages) >= PAGES_MIN
    [project] = {path for path in pages if path.startswith("/p/") and path.count("/") == 2}
    assert {project + section for section in SECTIONS} <= set(pages)
    assert {"/admin", "/admin/system", "/admin/schedule", "/docs/", "/docs/reference", "/account"} <= set(pages)
    assert told["problems"] == []
    assert told["elsewhere"] == []
    assert told["spokenTo"] == []
    assert told["ofServer"] == dict.fromkeys(told["ofServer"], 0)  # type: ignore[call-overload]
    # With the browser, which looks by itself whether there is IPv6.
    assert {name: count for name, count in told["counted"].items() if "Ip6" not in name and count} == {}  # type: ignore[attr-defined]
