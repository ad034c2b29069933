"""Virtual environments filled from the locks: hashes required, nothing resolved, wheels only (but for FROM_SOURCE)."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from building import pythons, system
from building.paths import ROOT, VENV, WORK, BuildError, is_stamped, python_tag, run, say, works, write_stamp

# The groups of pyproject.toml that have a lock; "runtime" stands for its dependencies.
GROUPS = ("runtime", "build", "test", "node", "sdk", "lock")
# Published as source alone. Their C parts, none of which we use, are left out, so no compiler is needed and every
# machine builds the same.
FROM_SOURCE = ("aiochclient",)
WITHOUT_COMPILER = {"CC": "false"}
# Where Debian's pip finds whom to trust, and what names another place to it.
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
CERTIFICATES_NAMED_BY = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# Locks are resolved for the oldest interpreter and C library we support; their hashes cover newer ones too.
LOCK_PYTHON = "3.11"
LOCK_PLATFORM = "x86_64-manylinux_2_28"
# What the runtime lock comes to for every Python that executables are made for.
WHEELS = ROOT / "building" / "wheels.json"


def lock_of(group: str) -> Path:
    """Name the lock file of a group."""
    return ROOT / ("requirements.lock" if group == "runtime" else f"requirements-{group}.lock")


def python_of(venv: Path) -> Path:
    return venv / "bin" / "python"


def ensure(*groups: str, venv: Path = VENV) -> Path:
    """Make the environment and install the groups that changed, in this order; answer its Python.

    The group "build" comes before one that holds a package of FROM_SOURCE.
    """
    missing = [group for group in groups if not is_stamped(_stamp(venv, group), _content(group))]
    if missing or not works_as_ours(venv):
        make(venv)
    for group in missing:
        say(f"installing {lock_of(group).name} into {venv.name}")
        install(lock_of(group), venv=venv)
        write_stamp(_stamp(venv, group), _content(group))
    return python_of(venv)


def works_as_ours(venv: Path) -> bool:
    """Tell whether an environment exists for the running Python's minor version."""
    return python_of(venv).exists() and (venv / "lib" / f"python{_minor()}" / "site-packages").is_dir()


def make(venv: Path) -> None:
    """Make the environment unless it fits; one of another Python version is replaced."""
    if works_as_ours(venv):
        return
    if venv.exists():
        say(f"{venv.name} was made by another Python; making it anew")
        shutil.rmtree(venv)
    say(f"making {venv.name} with Python {_minor()}")
    # Some systems ship Python without ensurepip; then pip installs from outside.
    with_pip = works([sys.executable, "-m", "ensurepip", "--version"])
    run([sys.executable, "-m", "venv", *([] if with_pip else ["--without-pip"]), venv])


def pip(venv: Path) -> list[str]:
    """Find a pip that can install into the environment. Raises BuildError where there is none."""
    inside = [str(python_of(venv)), "-m", "pip"]
    if works([*inside, "--version"]):
        return inside
    outside = [sys.executable, "-m", "pip", "--python", str(python_of(venv))]
    if works([*outside, "--version"]):
        return outside
    try:
        return [*_pip_apart(), "--python", str(python_of(venv))]
    except BuildError as error:
        say(str(error))
    raise BuildError("this Python has no pip; install it first (on Debian: apt-get install python3-pip)")


def _pip_apart() -> list[str]:
    """Debian's pip, unpacked beside what we build and installed nowhere. Raises BuildError."""
    folder = WORK / "pip"
    program = folder / "usr" / "lib" / "python3" / "dist-packages" / "pip"
    command = [sys.executable, str(program)]
    if not works([*command, "--version"]):
        say("fetching pip with apt-get, as this Python has none")
        system.unpack_packages(["python3-pip"], folder)
    # It trusts what the machine does, and does not even start where that is not said; a bare machine knows nobody.
    if not SYSTEM_CERTIFICATES.exists():
        vouching, asked = program / "_vendor" / "certifi" / "cacert.pem", program / "_vendor" / "certifi" / "core.py"
        told = asked.read_text(encoding="utf-8").replace(f"'{SYSTEM_CERTIFICATES}'", repr(str(vouching)))
        asked.write_text(told, encoding="utf-8")
        if not any(name in os.environ for name in CERTIFICATES_NAMED_BY):
            command += ["--cert", os.environ.get("SSL_CERT_FILE", str(vouching))]
    return command


def install(lock: Path, *, venv: Path = VENV, options: Sequence[str] = ()) -> None:
    """Install exactly what a lock says into the environment, or where pip's options say."""
    flags = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    if split(lock.read_text(encoding="utf-8"))[1]:
        # Built with the environment's own setuptools, which is locked; a build of its own would fetch what is newest.
        flags += [f"--no-binary={','.join(FROM_SOURCE)}", "--no-build-isolation"]
    run([*pip(venv), "install", *flags, *options, "--requirement", lock], env=WITHOUT_COMPILER | system.caches())


def install_apart(lock: Path, folder: Path, minor: str) -> None:
    """Install what a lock says into a plain folder, for any Python that executables are made for."""
    where = ["--target", str(folder), "--no-compile"]
    if not pythons.can_choose_wheels():
        if minor != pythons.RUNNING:
            raise BuildError(f"only Linux on x86-64 can make what runs on Python {minor}, or that Python itself")
        install(lock, options=where)
        return
    wheels, sources = split(lock.read_text(encoding="utf-8"))
    # Pip chooses among wheels alone for another Python. What has no wheel is Python without compiled parts, for any.
    for name, text, options in (("wheels", wheels, pythons.install_options(minor)), ("sources", sources, [])):
        part = folder.with_name(f"{name}.lock")
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8")
        install(part, options=[*where, *options])


def split(lock: str) -> tuple[str, str]:
    """A lock's entries that are wheels, and those of FROM_SOURCE."""
    entries = re.findall(r"^\S.*(?:\n\s+.*)*\n?", lock, re.MULTILINE)
    sources = [entry for entry in entries if entry.partition("==")[0] in FROM_SOURCE]
    return "".join(entry for entry in entries if entry not in sources), "".join(sources)


def write_locks(*, upgrade: bool) -> None:
    """Resolve pyproject.toml again. Pins stay unless they no longer fit or `upgrade` is given."""
    ensure("lock")
    for group in GROUPS:
        what = ["pyproject.toml"] if group == "runtime" else ["--group", f"pyproject.toml:{group}"]
        agreeing = [] if group == "runtime" else ["--constraints", "requirements.lock"]
        options = ["--generate-hashes", "--no-header", "--no-annotate", "--only-binary", ":all:", "--quiet"]
        options += [option for package in FROM_SOURCE for option in ("--no-binary", package)]
        target = ["--python-version", LOCK_PYTHON, "--python-platform", LOCK_PLATFORM]
        more = ["--upgrade"] if upgrade else []
        out = ["--output-file", lock_of(group).name]
        # Standard output repeats the file.
        command = [str(VENV / "bin" / "uv"), "pip", "compile", *what, *agreeing, *options, *target, *more, *out]
        if subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode:
            raise BuildError(f"{lock_of(group).name} could not be resolved")
        say(f"wrote {lock_of(group).name}")
    write_wheels()


def write_wheels() -> None:
    """Note which file of each package every Python gets, with its hash, so that a test can hold the lock to it."""
    chosen = {minor: dict(_chosen(minor)) for minor in pythons.MINORS}
    WHEELS.write_text(json.dumps(chosen, indent=1) + "\n", encoding="utf-8")
    say(f"wrote building/{WHEELS.name}")


def _chosen(minor: str) -> Iterator[tuple[str, str]]:
    """File names with SHA-256, as pip would install the runtime lock for a Python."""
    told = WORK / f"pip-{minor}.json"
    wheels, sources = WORK / "wheels.lock", WORK / "sources.lock"
    for part, text in zip((wheels, sources), split(lock_of("runtime").read_text(encoding="utf-8")), strict=True):
        part.write_text(text, encoding="utf-8")
        where = ["--dry-run", "--ignore-installed", "--target", str(WORK / "nowhere"), "--report", str(told)]
        install(part, options=[*where, *(pythons.install_options(minor) if part == wheels else [])])
        for one in json.loads(told.read_text(encoding="utf-8"))["install"]:
            name = one["download_info"]["url"].rpartition("/")[2]
            yield name, one["download_info"]["archive_info"]["hashes"]["sha256"]


def _minor() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def _stamp(venv: Path, group: str) -> Path:
    return venv / ".locks" / group


def _content(group: str) -> str:
    return f"{python_tag()}\n{lock_of(group).read_text()}"
