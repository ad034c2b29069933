"""Make dist/vemetric.pyz: shiv packs the locked dependencies once, then our package and launcher are added to a copy.

Packing the dependencies takes half a minute, nearly all of it for chDB, and changes only with the lock; adding our own
files takes a second. Equal input gives an equal file, byte for byte, wherever and whenever it is built. The wheel of
our own files is left beside it.
"""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from building import environment, frontend, notices
from building.paths import (
    EXECUTABLE,
    PACKAGE,
    ROOT,
    STATIC_DIST,
    WORK,
    BuildError,
    alone,
    digest,
    files_below,
    is_stamped,
    python_tag,
    run,
    say,
    write_stamp,
)
from vemetric import __version__

EXECUTABLE_BYTES_MAX = 220 * 1024 * 1024
# Fixed, so that equal input gives equal bytes; SOURCE_DATE_EPOCH overrides it. A zip cannot say anything before 1980.
SOURCE_DATE_EPOCH = 315_532_800
ENTRY_POINT = "vemetric.__main__:main"
# Where shiv keeps the packages in the archive.
PACKAGES = "site-packages/"
SHEBANG = "/usr/bin/env python3"
# Written by pip, different from machine to machine (paths, scripts), and read by nothing at run time.
MACHINE_BOUND = ("*.dist-info/RECORD", "*.dist-info/INSTALLER", "*.dist-info/REQUESTED", "*.dist-info/direct_url.json")
# Of these packages only the named files are used, so only they are shipped.
PARTLY_SHIPPED = {
    "device_detector": ("regexes/upstream/bots.yml",),
    "aiochclient": (
        "__init__.py",
        "client.py",
        "exceptions.py",
        "http_clients/__init__.py",
        "http_clients/abc.py",
        "http_clients/aiohttp.py",
        "records.py",
        "sql.py",
        "types.py",
    ),
}
# Runs before anything else, so any Python, also one that cannot read our sources, gets a sentence.
MAIN_TEMPLATE = """\
import sys

built_for = {tag!r}
version = "%d.%d" % tuple(sys.version_info[:2])
if version != {minor!r}:
    sys.exit("vemetric: this executable needs Python {minor}, and this is Python " + version
             + "; start it with: python{minor} " + sys.argv[0])

from importlib import machinery

if not any(built_for in suffix for suffix in machinery.EXTENSION_SUFFIXES):
    sys.exit("vemetric: this executable was built for " + built_for + ", and this Python is for "
             + machinery.EXTENSION_SUFFIXES[0].strip(".").replace(".so", "") + "; build it on this machine instead")

import _launcher

_launcher.main()
"""


def build() -> Path:
    """Bring dist/vemetric.pyz up to date, once everything it is made of is, and answer its path."""
    with alone():
        return _build()


def _build() -> Path:
    frontend.build()
    python = environment.ensure("build")
    stamp, content = WORK / "executable.stamp", _inputs()
    if EXECUTABLE.exists() and is_stamped(stamp, content):
        return EXECUTABLE
    started = time.monotonic()
    dependencies = install_dependencies()
    base = WORK / "dependencies.pyz"
    if not is_stamped(WORK / "base.stamp", _dependency_inputs()):
        say("packing the dependencies (takes a while, once per lock)")
        pack(python, dependencies, base)
        write_stamp(WORK / "base.stamp", _dependency_inputs())
    own = stage_own(python)
    carried = notices.parts(dependencies)
    (own / "vemetric" / "THIRD_PARTY.txt").write_text(notices.text(carried), encoding="utf-8")
    (own / "vemetric" / "sbom.json").write_text(notices.bill_of_materials(carried, __version__), encoding="utf-8")
    complete(base, own, EXECUTABLE)
    write_stamp(stamp, content)
    size = EXECUTABLE.stat().st_size
    if size > EXECUTABLE_BYTES_MAX:
        raise BuildError(f"the executable has {size:,} bytes, more than the {EXECUTABLE_BYTES_MAX:,} promised")
    say(f"dist/{EXECUTABLE.name}: {size / 1e6:.1f} MB in {time.monotonic() - started:.1f} s")
    return EXECUTABLE


def install_dependencies() -> Path:
    """Install the runtime lock into a plain folder and strip what differs from machine to machine."""
    folder, stamp = WORK / "dependencies", WORK / "dependencies.stamp"
    if is_stamped(stamp, _dependency_inputs()):
        return folder
    say("installing requirements.lock for the executable")
    shutil.rmtree(folder, ignore_errors=True)
    environment.install(environment.lock_of("runtime"), target=folder)
    strip(folder)
    write_stamp(stamp, _dependency_inputs())
    return folder


def strip(folder: Path) -> None:
    """Remove scripts, pip's notes, unused files and compiled ones; set the modes that a umask would change."""
    shutil.rmtree(folder / "bin", ignore_errors=True)
    for package, kept in PARTLY_SHIPPED.items():
        for file in files_below(folder / package):
            if file.relative_to(folder / package).as_posix() not in kept:
                file.unlink()
    for pattern in MACHINE_BOUND:
        for file in folder.glob(pattern):
            file.unlink()
    for cache in folder.rglob("__pycache__"):
        shutil.rmtree(cache)
    for path in folder.rglob("*"):
        executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        path.chmod(0o755 if executable else 0o644)


def stage_own(python: Path) -> Path:
    """Build our wheel from a clean copy (setuptools leaves its traces beside the sources) and unpack it."""
    source, wheels, own = WORK / "source", WORK / "wheels", WORK / "own"
    for folder in (source, wheels, own):
        shutil.rmtree(folder, ignore_errors=True)
    for file in _own_files():
        frontend.copy(file, source / file.relative_to(ROOT))
    wheels.mkdir()
    flags = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
    equal_bytes = {"SOURCE_DATE_EPOCH": str(source_date_epoch())}
    run([python, "-m", "pip", "wheel", *flags, "--wheel-dir", wheels, source], env=equal_bytes)
    made = next(wheels.glob("*.whl"))
    with zipfile.ZipFile(made) as wheel:
        wheel.extractall(own)
    # For those who have an environment of their own to install it into.
    frontend.copy(made, EXECUTABLE.parent / made.name)
    strip(own)
    return own


def pack(python: Path, site_packages: Path, target: Path) -> None:
    """Let shiv pack a folder of packages. The result starts nothing of ours yet; see `complete`."""
    options = ["--reproducible", "--compressed", "--python", SHEBANG, "--entry-point", ENTRY_POINT]
    env = os.environ | {"SOURCE_DATE_EPOCH": str(source_date_epoch())}
    command = [str(python), "-m", "shiv", *options, "--site-packages", str(site_packages), "-o", str(target)]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise BuildError(f"shiv failed: {done.stdout}")


def complete(base: Path, own: Path, target: Path) -> None:
    """Copy a packed archive, add our own files to its packages, and put our launcher before shiv's start."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    shutil.copyfile(base, unfinished)
    with zipfile.ZipFile(unfinished, "a", zipfile.ZIP_DEFLATED) as archive:
        starter = cut_starter(archive)
        about = json.loads(starter["environment.json"])
        about["build_id"] = hashlib.sha256((about["build_id"] + own_digest(own)).encode()).hexdigest()
        minor = f"{sys.version_info[0]}.{sys.version_info[1]}"
        starter["environment.json"] = json.dumps(about).encode()
        starter["_launcher.py"] = (ROOT / "building" / "launcher.py").read_bytes()
        starter["__main__.py"] = MAIN_TEMPLATE.format(tag=python_tag(), minor=minor).encode()
        for file in files_below(own):
            add(archive, f"{PACKAGES}{file.relative_to(own).as_posix()}", file.read_bytes())
        for name in sorted(starter):
            add(archive, name, starter[name])
    unfinished.chmod(0o755)
    unfinished.replace(target)


def cut_starter(archive: zipfile.ZipFile) -> dict[str, bytes]:
    """Take what shiv put behind the packages off an archive that is open for appending; answer it by name.

    Shiv writes those files last, in no fixed order and with the modes that the building machine's umask gave them.
    """
    starter = {name: archive.read(name) for name in archive.namelist() if not name.startswith(PACKAGES)}
    for _ in starter:
        entry = archive.filelist.pop()
        if entry.filename not in starter:
            raise BuildError(f"shiv's archive ends with {entry.filename} where its starter was expected")
        del archive.NameToInfo[entry.filename]
        archive.start_dir = entry.header_offset
    return starter


def add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    """Add a file with nothing in it that depends on when or by whom."""
    entry = zipfile.ZipInfo(name, time.gmtime(source_date_epoch())[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    archive.writestr(entry, content)


def source_date_epoch() -> int:
    return int(os.environ.get("SOURCE_DATE_EPOCH") or SOURCE_DATE_EPOCH)


def own_digest(own: Path) -> str:
    return digest(files_below(own), relative_to=own)


def _own_files() -> list[Path]:
    unshipped = ("node_modules", "css", "js", "img", "tracker")
    own = [
        file
        for file in files_below(PACKAGE)
        if not any(file.is_relative_to(PACKAGE / "static" / name) for name in unshipped)
    ]
    return [*own, *files_below(STATIC_DIST), ROOT / "pyproject.toml", ROOT / "README.md", ROOT / "LICENSE"]


def _dependency_inputs() -> str:
    steps = digest([Path(__file__)], relative_to=ROOT)
    return f"{python_tag()} {source_date_epoch()} {steps}\n{environment.lock_of('runtime').read_text()}"


def _inputs() -> str:
    building = files_below(ROOT / "building")
    return digest([*_own_files(), *building], relative_to=ROOT, salt=_dependency_inputs())
