"""Make dist/vemetric.pyz: shiv packs the locked dependencies once, then our package and launcher are added to a copy.

It is made for the Python that runs this, and as vemetric-py312.pyz and so on for others (building/pythons.py).

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
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

from building import environment, frontend, notices, pythons, system
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
    run,
    say,
    write_stamp,
)
from vemetric import __version__

EXECUTABLE_BYTES_MAX = 220 * 1024 * 1024
USUAL_UMASK = 0o022
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


def build(minor: str = pythons.RUNNING) -> Path:
    """Bring the executable for a Python up to date, once everything it is made of is, and answer its path."""
    with alone():
        return _build(pythons.target(minor))


def build_all(minors: Sequence[str] = pythons.MINORS) -> list[Path]:
    """Make an executable for each of the Pythons, named after them."""
    made = []
    for minor in minors:
        path, wanted = build(minor), pythons.named(minor)
        if path != wanted:
            wanted.unlink(missing_ok=True)
            # The running Python's has two names.
            os.link(path, wanted)
        python = pythons.find(minor)
        say(f"dist/{wanted.name}: " + (f"runs on {python}" if python else f"no Python {minor} here to run it"))
        made.append(wanted)
    return made


def _build(target: pythons.Target) -> Path:
    frontend.build()
    python = environment.ensure("build")
    stamp, content = target.folder / "executable.stamp", _inputs(target)
    if target.executable.exists() and is_stamped(stamp, content):
        return target.executable
    started = time.monotonic()
    dependencies = install_dependencies(target)
    base = target.folder / "dependencies.pyz"
    if not is_stamped(target.folder / "base.stamp", _dependency_inputs(target)):
        say("packing the dependencies (takes a while, once per lock)")
        pack(python, dependencies, base)
        write_stamp(target.folder / "base.stamp", _dependency_inputs(target))
    own = stage_own(python)
    carried = notices.parts(dependencies)
    (own / "vemetric" / "THIRD_PARTY.txt").write_text(notices.text(carried), encoding="utf-8")
    (own / "vemetric" / "sbom.json").write_text(notices.bill_of_materials(carried, __version__), encoding="utf-8")
    complete(base, own, target.executable, target)
    write_stamp(stamp, content)
    size = target.executable.stat().st_size
    if size > EXECUTABLE_BYTES_MAX:
        raise BuildError(f"the executable has {size:,} bytes, more than the {EXECUTABLE_BYTES_MAX:,} promised")
    say(f"dist/{target.executable.name}: {size / 1e6:.1f} MB in {time.monotonic() - started:.1f} s")
    return target.executable


def install_dependencies(target: pythons.Target) -> Path:
    """Install the runtime lock into a plain folder and strip what differs from machine to machine."""
    folder, stamp = target.folder / "dependencies", target.folder / "dependencies.stamp"
    if is_stamped(stamp, _dependency_inputs(target)):
        return folder
    say(f"installing requirements.lock for the executable of Python {target.minor}")
    shutil.rmtree(folder, ignore_errors=True)
    environment.install_apart(environment.lock_of("runtime"), folder, target.minor)
    unfit = pythons.unfit(folder, target.minor) if pythons.can_choose_wheels() else []
    if unfit:
        raise BuildError(f"Python {target.minor} cannot load the wheels of {', '.join(unfit)}")
    strip(folder)
    write_stamp(stamp, _dependency_inputs(target))
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
    set_modes(folder)


def set_modes(folder: Path) -> None:
    """Give all below the folder the modes that it has by the usual umask, whatever that of this machine is."""
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
    # A wheel tells the modes of what it was made of.
    set_modes(source)
    wheels.mkdir()
    flags = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
    equal_bytes = {"SOURCE_DATE_EPOCH": str(source_date_epoch())}
    mask = os.umask(USUAL_UMASK)
    try:
        run([python, "-m", "pip", "wheel", *flags, "--wheel-dir", wheels, source], env=equal_bytes | system.caches())
    finally:
        os.umask(mask)
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


def complete(base: Path, own: Path, executable: Path, target: pythons.Target) -> None:
    """Copy a packed archive, add our own files to its packages, and put our launcher before shiv's start."""
    executable.parent.mkdir(parents=True, exist_ok=True)
    unfinished = executable.with_suffix(".unfinished")
    shutil.copyfile(base, unfinished)
    with zipfile.ZipFile(unfinished, "a", zipfile.ZIP_DEFLATED) as archive:
        starter = cut_starter(archive)
        about = json.loads(starter["environment.json"])
        about["build_id"] = hashlib.sha256((about["build_id"] + own_digest(own)).encode()).hexdigest()
        starter["environment.json"] = json.dumps(about).encode()
        starter["_launcher.py"] = (ROOT / "building" / "launcher.py").read_bytes()
        starter["__main__.py"] = MAIN_TEMPLATE.format(tag=target.tag, minor=target.minor).encode()
        for file in files_below(own):
            add(archive, f"{PACKAGES}{file.relative_to(own).as_posix()}", file.read_bytes())
        for name in sorted(starter):
            add(archive, name, starter[name])
    unfinished.chmod(0o755)
    unfinished.replace(executable)


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


def _dependency_inputs(target: pythons.Target) -> str:
    steps = digest([Path(__file__), Path(pythons.__file__)], relative_to=ROOT)
    return f"{target.tag} {source_date_epoch()} {steps}\n{environment.lock_of('runtime').read_text()}"


def _inputs(target: pythons.Target) -> str:
    building = files_below(ROOT / "building")
    return digest([*_own_files(), *building], relative_to=ROOT, salt=_dependency_inputs(target))
