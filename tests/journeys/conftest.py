"""What the journeys drive the executable with: a browser that is led to this machine by any name, sites, real SDKs."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from building import chromium, environment, frontend
from building.paths import SDK_VENV, TEST_PAGES, alone
from tests.kit.process import Server
from tests.kit.site import Site

# The client stays silent on localhost and where a page can see that it is driven.
CHROMIUM_ARGUMENTS = (
    "--host-resolver-rules=MAP * 127.0.0.1",
    "--disable-blink-features=AutomationControlled",
    "--disable-background-networking",
)
BUNDLE_OPTIONS = (
    "--bundle",
    "--format=iife",
    "--loader=jsx",
    "--jsx=automatic",
    '--define:process.env.NODE_ENV="production"',
)


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A Chromium in which every host name is this machine. While it lives no other event loop can run in its thread."""
    executable = os.environ.get("VEMETRIC_TEST_CHROMIUM") or chromium.find()
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGUMENTS)
        yield launched
        launched.close()


Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A function that starts the executable on the test's data directory, with settings by name; ended afterwards."""
    started: list[Server] = []

    def start(**settings: str) -> Server:
        started.append(Server(tmp_path / "data", environ=settings))
        return started[-1].start()

    yield start
    for server in started:
        server.end()


@pytest.fixture
def server(serve: Serve) -> Server:
    """The executable without any configuration but where to keep its data and where to listen."""
    return serve()


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as opened:
        yield opened


@pytest.fixture(scope="session")
def bundle() -> Callable[[str], str]:
    """A function that bundles a module's text with the npm packages it imports, as a site's own build would."""
    with alone():
        frontend.install_packages(TEST_PAGES)
    esbuild = next((TEST_PAGES / "node_modules" / "@esbuild").glob("*/bin/esbuild"))

    def bundled(source: str) -> str:
        done = subprocess.run(
            [esbuild, *BUNDLE_OPTIONS], cwd=TEST_PAGES, input=source, capture_output=True, text=True, check=True
        )
        return done.stdout

    return bundled


@pytest.fixture(scope="session")
def sdk_python() -> Path:
    """The Python of an environment that has the published SDK, whose import name is ours too."""
    named = os.environ.get("VEMETRIC_TEST_SDK_PYTHON")
    if named:
        return Path(named)
    with alone():
        return environment.ensure("sdk", venv=SDK_VENV)
