"""`build.py test`: make what the tests need, run every check, say how long each took, fail if any failed."""

import os
import subprocess
import time
from collections.abc import Sequence

from building import archive, chromium, environment, frontend, servers
from building.paths import EXECUTABLE, ROOT, SDK_VENV, TEST_PAGES, VENV, alone, say

SOURCES = ("vemetric", "building", "tests", "benchmarks", "build.py")
# A long run looks at every page in every width and theme, which takes some tests minutes.
LONG_TIMEOUT_SECONDS = 1800
# One process more than there are cores on a small machine: browsers, servers and killed processes are waited for.
# A test that kills its process is given to the next one, which it kills too; by itself xdist goes on so a dozen times.
PYTEST = ("-n", "3", "--max-worker-restart", "2", "--no-loadscope-reorder", "--durations", "15")
PLUGINS = ("-p", "tests.plugins.no_skips", "-p", "tests.plugins.shares")


def run_all(arguments: Sequence[str], *, long: bool) -> int:
    """Run linters, type checker, layer check and tests; answer 0 only if all passed."""
    archive.build()
    checks = {"pytest": pytest_command(arguments, long=long)}
    if not arguments:
        checks = linters() | checks
    with alone():
        env = prepare() | ({"VEMETRIC_TEST_LOOKS": "all"} if long else {})
    results = []
    for name, command in checks.items():
        say(f"{name}: {' '.join(command)}")
        started = time.monotonic()
        code = subprocess.call([str(VENV / "bin" / command[0]), *command[1:]], cwd=ROOT, env=env)
        results.append((name, code, time.monotonic() - started))
    for name, code, seconds in results:
        say(f"{name:12} {'passed' if code == 0 else f'FAILED with exit code {code}'} in {seconds:.1f} s")
    return 1 if any(code for _, code, _ in results) else 0


def linters() -> dict[str, list[str]]:
    sources = [name for name in SOURCES if (ROOT / name).exists()]
    return {
        "lint": ["ruff", "check", *sources],
        "format": ["ruff", "format", "--check", *sources],
        "types": ["mypy"],
        "layers": ["lint-imports"],
    }


def pytest_command(arguments: Sequence[str], *, long: bool) -> list[str]:
    """The short run leaves out what is marked `long`; arguments of the caller come last and win."""
    which = ["-o", f"timeout={LONG_TIMEOUT_SECONDS}"] if long else ["-m", "not long"]
    return ["python", "-m", "pytest", *PYTEST, *PLUGINS, *which, *arguments]


def prepare() -> dict[str, str]:
    """Install what tests need beside Python packages, and answer the environment that tells them where it is."""
    environment.ensure("build", "runtime", "test")
    frontend.install_packages(TEST_PAGES)
    sdk_python = environment.ensure("sdk", venv=SDK_VENV)
    browser = chromium.find()
    servers.find()
    return surroundings() | {
        "VEMETRIC_TEST_CHROMIUM": str(browser),
        "VEMETRIC_TEST_NODE": frontend.find_node()[0],
        "VEMETRIC_TEST_SDK_PYTHON": str(sdk_python),
    }


def surroundings() -> dict[str, str]:
    """The caller's environment, and what tests and benchmarks share: the cases and one unpacking of the executable."""
    defaults = {
        "VEMETRIC_TEST_VECTORS": str(ROOT / "tests" / "vectors"),
        "SHIV_ROOT": str(EXECUTABLE.parent / ".runtime"),
    }
    return defaults | os.environ | chromium.driver() | {"PYTHONPATH": str(ROOT)}
