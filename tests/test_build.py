"""What the build promises: a small executable with all in it, locks that can be trusted, a Dockerfile that fits."""

import ast
import json
import re
import stat
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from building import archive, commands, environment, frontend, pythons, screenshot
from building.paths import EXECUTABLE, PACKAGE, ROOT, STATIC_DIST, files_below
from vemetric import cli, config

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = [environment.lock_of(group) for group in environment.GROUPS]
# The shortest licence there is, with its name and version.
LICENSE_CHARACTERS_MIN = 500
# Declared, locked and shipped for what they bring beside an import of their own.
NOT_IMPORTED = {
    "aiosqlite": "SQLAlchemy loads it by the name in the database's URL",
    "asyncpg": "SQLAlchemy loads it by the name in the database's URL",
    "hiredis": "redis-py parses answers with it where it is installed",
    "greenlet": "SQLAlchemy's asyncio support needs it and does not declare it everywhere",
    "tzdata": "zoneinfo reads it where the system has no zones",
    "device-detector": "its list of bots is read as a file",
    "chdb-core": "its extension module is loaded by path",
}


def lock_entries(lock: Path) -> dict[str, str]:
    """Name and version of each entry."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock.read_text(), re.MULTILINE))


def imported_distributions(folder: Path) -> set[str]:
    """The installed distributions whose modules a folder's files import, by their normal names."""
    providers = metadata.packages_distributions()
    found: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules = [node.module]
            for module in modules:
                found |= set(providers.get(module.partition(".")[0], []))
    return {re.sub(r"[-_.]+", "-", name).lower() for name in found}


@pytest.mark.journey
def test_executable_stays_small() -> None:
    assert EXECUTABLE.stat().st_size < 220_000_000


@pytest.mark.journey
def test_executable_holds_every_file_of_the_package() -> None:
    with zipfile.ZipFile(EXECUTABLE) as packed:
        names = set(packed.namelist())
        notices = packed.read("site-packages/vemetric/THIRD_PARTY.txt").decode()
        materials = json.loads(packed.read("site-packages/vemetric/sbom.json"))
    built_from = ("node_modules", "css", "js", "img", "tracker")
    unshipped = [PACKAGE / "static" / name for name in built_from] + list((PACKAGE / "static").glob("package*.json"))
    for file in files_below(PACKAGE):
        if not any(file.is_relative_to(path) for path in unshipped):
            assert f"site-packages/vemetric/{file.relative_to(PACKAGE).as_posix()}" in names
    shipped = lock_entries(environment.lock_of("runtime"))
    for name, version in shipped.items():
        assert re.search(rf"^{name.replace('-', '[-_.]')} {re.escape(version)}$", notices, re.MULTILINE | re.IGNORECASE)
    named = {part["purl"]: part for part in materials["components"]}
    assert {f"pkg:pypi/{name}@{version}" for name, version in shipped.items()} <= set(named)
    assert re.fullmatch(r"[0-9.]+", next(part for purl, part in named.items() if "%40vemetric/web" in purl)["version"])
    assert not [purl for purl, part in named.items() if not part["licenses"][0]["license"]["name"]]
    assert "IP geolocation by DB-IP" in notices
    sections = notices.split("=" * 100)[1:]
    assert [section.split("\n")[1] for section in sections if len(section) < LICENSE_CHARACTERS_MIN] == []


def test_modes_are_those_of_the_usual_umask_wherever_it_is_built(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    for name, mode in (("private", 0o600), ("shared", 0o664), ("folder/program", 0o700)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    archive.set_modes(tmp_path)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"folder": 0o755, "private": 0o644, "shared": 0o644, "program": 0o755}


@pytest.mark.journey
def test_the_wheel_beside_it_holds_the_same_files_of_ours() -> None:
    ours = "site-packages/vemetric/"
    made_with_it = {"THIRD_PARTY.txt", "sbom.json"}
    with zipfile.ZipFile(EXECUTABLE) as packed:
        names = {name.removeprefix(ours) for name in packed.namelist() if name.startswith(ours)} - made_with_it
    with zipfile.ZipFile(next(EXECUTABLE.parent.glob("vemetric_server-*-py3-none-any.whl"))) as wheel:
        assert {name.removeprefix("vemetric/") for name in wheel.namelist() if name.startswith("vemetric/")} == names


@pytest.mark.journey
def test_executable_names_no_place_of_the_building_machine() -> None:
    own = ("site-packages/vemetric/", "_launcher.py", "__main__.py", "environment.json")
    with zipfile.ZipFile(EXECUTABLE) as packed:
        for name in packed.namelist():
            if name.startswith(own):
                assert str(ROOT).encode() not in packed.read(name), name
        assert not [name for name in packed.namelist() if "/bin/" in name or name.endswith(("RECORD", ".pyc"))]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_lock_has_a_hash_for_every_entry_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==\S+ \\\n", entry), entry[:80]
        assert "--hash=sha256:" in entry
    assert "://" not in text
    assert "-index" not in text


def test_runtime_lock_has_a_file_with_its_hash_for_every_python() -> None:
    lock = environment.lock_of("runtime")
    hashes = {entry.partition("==")[0]: entry for entry in re.split(r"\n(?=\S)", lock.read_text().strip())}
    chosen = json.loads(environment.WHEELS.read_text())
    assert tuple(chosen) == pythons.MINORS
    assert PROJECT["project"]["requires-python"] == ">=3.11,<3.14"
    for minor, files in chosen.items():
        names = set()
        for file, sha256 in files.items():
            name, version = re.match(r"(.+?)-(\d[^-]*?)(?:-|\.tar\.gz$)", file).groups()  # type: ignore[union-attr]
            name = name.replace("_", "-")
            names.add(name)
            assert hashes[name].startswith(f"{name}=={version} ")
            assert f"sha256:{sha256}" in hashes[name]
            if name not in environment.FROM_SOURCE:
                python, abi, where = file.removesuffix(".whl").split("-")[-3:]
                tags = [f"{p}-{abi}-{w}" for p in python.split(".") for w in where.split(".")]
                assert any(pythons.fits(tag, minor) for tag in tags), file
        assert names == set(hashes)


@pytest.mark.parametrize(
    ("tag", "fitting"),
    [
        ("py3-none-any", pythons.MINORS),
        ("cp312-cp312-manylinux_2_28_x86_64", ("3.12",)),
        ("cp312-abi3-manylinux2014_x86_64", ("3.12", "3.13")),
        ("cp39-abi3-manylinux_2_17_x86_64", pythons.MINORS),
        ("py3-none-manylinux_2_29_x86_64", ()),
        ("cp312-cp312-musllinux_1_2_x86_64", ()),
        ("cp313-cp313t-manylinux_2_28_x86_64", ()),
        ("cp312-cp312-manylinux_2_28_aarch64", ()),
        ("py2-none-any", ()),
    ],
)
def test_a_wheel_fits_the_pythons_of_its_tag(tag: str, fitting: tuple[str, ...]) -> None:
    assert tuple(minor for minor in pythons.MINORS if pythons.fits(tag, minor)) == fitting


def test_another_python_is_named_in_one_line(tmp_path: Path) -> None:
    main = tmp_path / "__main__.py"
    main.write_text(archive.MAIN_TEMPLATE.format(tag="cpython-399-x86_64-linux-gnu", minor="3.99"))
    done = subprocess.run([sys.executable, main], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert re.fullmatch(
        r"vemetric: this executable needs Python 3\.99, and this is Python 3\.\d+; start it with: python3\.99 \S+\n",
        done.stderr,
    )


def test_only_pythons_that_there_are_can_be_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["all", "3.10"]) == 1
    assert "there is none for Python 3.10; there are: 3.11, 3.12, 3.13" in capsys.readouterr().err


@pytest.mark.parametrize(
    "lock", [*PACKAGE.glob("static/package-lock.json"), *ROOT.glob("tests/npm/**/package-lock.json")]
)
def test_npm_lock_has_hashes_and_no_address(lock: Path) -> None:
    if "node_modules" in lock.parts:
        return
    packages = json.loads(lock.read_text())["packages"]
    assert all("integrity" in about and "resolved" not in about for name, about in packages.items() if name)


def test_locks_agree_where_they_share_an_environment() -> None:
    runtime = lock_entries(environment.lock_of("runtime"))
    for group in ("build", "test"):
        shared = lock_entries(environment.lock_of(group)).items() & runtime.keys()
        assert all(runtime[name] == version for name, version in shared)


def test_runtime_lock_is_what_the_package_imports() -> None:
    declared = {re.split(r"[^a-z0-9-]", name)[0] for name in PROJECT["project"]["dependencies"]}
    imported = imported_distributions(PACKAGE) - {"vemetric-server"}
    assert imported <= declared
    assert declared <= set(lock_entries(environment.lock_of("runtime")))
    assert declared - imported <= set(NOT_IMPORTED), "declared, but nothing imports it"


def test_test_lock_covers_what_the_tests_import() -> None:
    covered = set().union(*(lock_entries(environment.lock_of(group)) for group in ("runtime", "test")))
    assert imported_distributions(ROOT / "tests") - {"vemetric-server"} <= covered


def test_engine_is_shipped_without_what_it_declares_and_does_not_need() -> None:
    assert not {"pandas", "pyarrow", "numpy"} & set(lock_entries(environment.lock_of("runtime")))


def test_manifest_names_exactly_the_served_files() -> None:
    manifest = json.loads((STATIC_DIST / "manifest.json").read_text())
    served = [
        file.relative_to(STATIC_DIST).as_posix()
        for file in files_below(STATIC_DIST)
        if file.parent != STATIC_DIST and file.relative_to(STATIC_DIST).parts[0] not in frontend.NOT_SERVED
    ]
    assert manifest["files"] == sorted(served)
    assert re.fullmatch("[0-9a-f]{10}", manifest["version"])


def test_version_of_static_files_follows_any_content(tmp_path: Path) -> None:
    (tmp_path / "css").mkdir()
    (tmp_path / "css" / "a.css").write_text("a{}")
    first = frontend.write_manifest(tmp_path)
    assert frontend.write_manifest(tmp_path) == first
    (tmp_path / "css" / "a.css").write_text("b{}")
    assert frontend.write_manifest(tmp_path) != first


def test_every_flag_has_a_country_code_for_a_name() -> None:
    names = [file.stem for file in (STATIC_DIST / "flags").iterdir()]
    assert all(re.fullmatch("[a-z]{2}", name) for name in names)
    assert {"at", "us", "xx"} <= set(names)


def test_dockerfile_fits_the_code() -> None:
    text = (ROOT / "Dockerfile").read_text()
    minors = set(re.findall(r"^FROM python:(\d+\.\d+)-", text, re.MULTILINE))
    assert minors == {environment.LOCK_PYTHON}
    assert f"{min(minors)}" in PROJECT["project"]["requires-python"]
    assert f"/source/{EXECUTABLE.relative_to(ROOT).as_posix()} /usr/local/bin/vemetric" in text
    assert 'ENTRYPOINT ["vemetric"]' in text
    assert 'CMD ["serve"]' in text
    instructions = [line.split()[0] for line in text.splitlines() if line[:1].isupper()]
    assert instructions.index("USER") < instructions.index("ENTRYPOINT")
    port = config.load({})[0].listen.port
    assert f"EXPOSE {port}\n" in text
    check = re.search(r'^HEALTHCHECK .*--timeout=(\d+)s .*\\\n +CMD \["vemetric", "(\w+)"\]$', text, re.MULTILINE)
    assert check is not None
    assert cli._parser().parse_args([check[2]]).command == "healthcheck"
    assert int(check[1]) > cli.HEALTH_SECONDS_MAX
    settings = dict(re.findall(r"^ENV (\w+)=(\S+)$", text, re.MULTILINE))
    known = {option.name for option in config.OPTIONS} | {"SHIV_ROOT"}
    assert set(settings) <= known
    assert f"VOLUME {settings['VEMETRIC_DATA_DIR']}\n" in text


def test_what_the_image_is_built_from_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    needed = {"building", "vemetric", "build.py", "pyproject.toml", "README.md", "LICENSE", "requirements.lock"}
    assert not needed & set(ignored)
    assert {".venv*", ".build", "vemetric-data"} <= set(ignored)


def test_ci_runs_the_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "python3 build.py run" in readme
    assert "python3 build.py test" in readme
    assert "python3 build.py test" in (ROOT / ".ci" / "run").read_text()


def test_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(["biuld"]) == 2
    assert "there is no command biuld" in capsys.readouterr().err


def test_main_template_is_plain_enough_for_an_old_python() -> None:
    text = archive.MAIN_TEMPLATE.format(tag="cpython-311-x86_64-linux-gnu", minor="3.11")
    before_the_check = text.partition("from importlib")[0]
    assert not re.search(r"\bf[\"']|print|->|:=", before_the_check)
    assert sys.version_info[:2] == tuple(int(part) for part in environment._minor().split("."))


def test_readmes_picture_is_there_and_small() -> None:
    [name] = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert ROOT / name == screenshot.PICTURE
    assert screenshot.PICTURE.read_bytes().startswith(b"\x89PNG")
    assert screenshot.PICTURE.stat().st_size < screenshot.BYTES_MAX
