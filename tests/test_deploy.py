"""The files of docs/deploy/, and what the documentation shows of them, fit the code: units, compose files, balancer."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from building.paths import ROOT
from vemetric import config
from vemetric.clickhouse.server import OLDEST_VERSION
from vemetric.doctor.of_machine import FILES_MIN
from vemetric.web import handed_sockets, hub
from vemetric.web.leaving import LINGER_SECONDS

DEPLOY = ROOT / "docs" / "deploy"
FILES = sorted(path.name for path in DEPLOY.iterdir())
SHOWN = {
    "vemetric.service": "index.md",
    "vemetric.socket": "index.md",
    "vemetric-acme.socket": "index.md",
    "compose.yaml": "index.md",
    "balancer.conf": "scaling.md",
}
UNITS = ("vemetric.service", "vemetric.socket", "vemetric-acme.socket")
# systemd's own scale, from 0 (nothing is open) to 10.
EXPOSURE_MAX = 2.0
VALUES = {"PASSWORD": "secret", "VEMETRIC_SECRET": "s" * 40}
DEFAULTS = config.load({})[0]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


class Unit(configparser.RawConfigParser):
    """A unit file; an option that stands several times has its lines joined."""

    def __init__(self, name: str) -> None:
        super().__init__(strict=False, delimiters="=", comment_prefixes=("#",), interpolation=None)
        self.optionxform = str  # type: ignore[assignment,method-assign]
        self.text = (DEPLOY / name).read_text()
        self.read_string(self.text)

    def environment(self) -> dict[str, str]:
        return dict(re.findall(r"^Environment=([A-Z_]+)=(.*)$", self.text, re.MULTILINE))


def compose(name: str) -> dict[str, Any]:
    """A compose file with its variables filled in, as the client would."""

    def filled(found: "re.Match[str]") -> str:
        value, default = VALUES.get(found[1]), found[3]
        assert value is not None or found[2] == ":-", found[0]
        return value if value is not None else default

    text = re.sub(r"\$\{(\w+)(:[-?])([^}]*)\}", filled, (DEPLOY / name).read_text())
    assert "$" not in text
    document: dict[str, Any] = yaml.safe_load(text)
    return document


@pytest.mark.parametrize(("name", "page"), SHOWN.items())
def test_the_documentation_shows_the_files_themselves(name: str, page: str) -> None:
    assert f"```\n{(DEPLOY / name).read_text()}```\n" in (ROOT / "docs" / page).read_text()


def test_every_file_is_written_of() -> None:
    written = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    assert [name for name in FILES if name not in written] == []


def test_the_units_fit_the_code() -> None:
    service, socket = Unit("vemetric.service"), Unit("vemetric.socket")
    environ = service.environment()
    assert environ.pop("SHIV_ROOT") == f"/var/cache/{service['Service']['CacheDirectory']}"
    settings, warnings = config.load(environ)
    assert not warnings
    assert str(settings.data_dir) == f"/var/lib/{service['Service']['StateDirectory']}"
    assert str(settings.listen) == socket["Socket"]["ListenStream"]
    assert socket["Socket"]["FileDescriptorName"] == handed_sockets.SHARED
    assert service["Unit"]["Requires"] == "vemetric.socket"
    challenges = Unit("vemetric-acme.socket")["Socket"]
    assert challenges["FileDescriptorName"] == handed_sockets.CHALLENGES
    assert (int(challenges["ListenStream"]), challenges["Service"]) == (settings.acme_listen.port, "vemetric.service")
    assert int(service["Service"]["LimitNOFILE"]) >= FILES_MIN
    assert int(service["Service"]["TimeoutStopSec"]) > settings.drain_seconds + LINGER_SECONDS


def test_systemd_takes_the_units_and_finds_them_closed(tmp_path: Path) -> None:
    for name in UNITS:
        # A program that is here: theirs is installed by the operator.
        text = re.sub("^ExecStart=.*$", "ExecStart=/bin/true", (DEPLOY / name).read_text(), flags=re.MULTILINE)
        (tmp_path / name).write_text(text)
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return
    paths = [str(tmp_path / name) for name in UNITS]
    verified = subprocess.run([analyze, "verify", "--man=no", *paths], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    rated = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", paths[0]], capture_output=True, text=True, check=False
    )
    exposure = re.search(r"Overall exposure level for vemetric\.service: ([\d.]+)", rated.stdout)
    assert exposure is not None, rated.stderr
    assert float(exposure[1]) <= EXPOSURE_MAX


def test_the_compose_file_of_one_machine_fits_image_and_code() -> None:
    document = compose("compose.yaml")
    [service] = document["services"].values()
    assert f"docker build -t {service['image']} ." in (ROOT / "docs" / "index.md").read_text()
    assert (DEPLOY / service["build"]).resolve() == ROOT
    assert service["ports"] == [f"{DEFAULTS.listen.port}:{DEFAULTS.listen.port}"]
    [volume] = service["volumes"]
    named, _, place = volume.partition(":")
    assert named in document["volumes"]
    assert f"VOLUME {place}\n" in DOCKERFILE
    assert service["ulimits"]["nofile"] >= FILES_MIN
    assert config.load(service["environment"])[1] == []


def test_the_compose_file_of_servers_fits_image_and_code() -> None:
    document = compose("compose-servers.yaml")
    services = document["services"]
    ours = {name: one for name, one in services.items() if one["image"] == "vemetric"}
    loaded = {name: config.load(one["environment"]) for name, one in ours.items()}
    assert not [warning for _, warnings in loaded.values() for warning in warnings]
    assert sorted(str(settings.roles) for settings, _ in loaded.values()) == sorted(config.ROLES)
    for name, (settings, _) in loaded.items():
        assert settings.redis_url is not None
        assert settings.clickhouse_url is not None
        assert set(ours[name]["depends_on"]) == {"postgres", "valkey", "clickhouse"}
        assert all("healthcheck" in services[store] for store in ours[name]["depends_on"])
    database, analytics = services["postgres"]["environment"], services["clickhouse"]["environment"]
    environ = ours["web"]["environment"]
    assert environ["DATABASE_URL"] == (
        f"postgresql://{database['POSTGRES_USER']}:{database['POSTGRES_PASSWORD']}@postgres:5432/{database['POSTGRES_DB']}"
    )
    assert environ["CLICKHOUSE_URL"] == (
        f"http://{analytics['CLICKHOUSE_USER']}:{analytics['CLICKHOUSE_PASSWORD']}@clickhouse:8123/"
        f"{analytics['CLICKHOUSE_DB']}"
    )
    assert environ["REDIS_URL"] == f"redis://:{VALUES['PASSWORD']}@valkey:6379/0"
    assert services["valkey"]["command"][1:3] == ["--requirepass", VALUES["PASSWORD"]]
    version = services["clickhouse"]["image"].partition(":")[2]
    assert tuple(int(part) for part in version.split(".")) >= OLDEST_VERSION
    [subnet] = [one["subnet"] for one in document["networks"]["default"]["ipam"]["config"]]
    assert environ["VEMETRIC_TRUSTED_PROXIES"] == subnet
    kept = {volume.partition(":")[0] for one in services.values() for volume in one.get("volumes", ())}
    assert {name for name in kept if not name.startswith("./")} == set(document["volumes"])
    assert {name[2:] for name in kept if name.startswith("./")} <= set(FILES)


def test_valkey_is_set_as_a_start_wants_it() -> None:
    options = compose("compose-servers.yaml")["services"]["valkey"]["command"]
    named = dict(zip(options[1::2], options[2::2], strict=True))
    asked = dict(
        re.findall(
            r"^(appendonly|appendfsync|maxmemory-policy) (\S+)$", (ROOT / "docs/scaling.md").read_text(), re.MULTILINE
        )
    )
    assert {f"--{name}": value for name, value in asked.items()}.items() <= named.items()
    assert len(asked) == 3


def test_the_balancer_sends_the_hubs_paths_to_hubs() -> None:
    text = (DEPLOY / "balancer.conf").read_text()
    services = compose("compose-servers.yaml")["services"]
    upstreams = dict(re.findall(r"upstream (\w+) \{\n +server (\S+);", text))
    assert upstreams == {name: f"{name}:{DEFAULTS.listen.port}" for name in ("hub", "web")}
    assert set(upstreams) <= set(services)
    pattern = re.search(r"location ~ (\S+) \{\n +proxy_pass http://hub;", text)
    assert pattern is not None
    # Pages answer /up for themselves, which is what a balancer asks them.
    for path in set(hub.PATHS) - {hub.UP_PATH}:
        assert re.search(pattern[1], path), path
    for path in ("/", "/login", "/events", "/e/", "/p/1", "/main.js.map", "/up"):
        assert not re.search(pattern[1], path), path
    assert services["balancer"]["ports"] == [f"{DEFAULTS.listen.port}:80"]
    assert "listen 80;" in text
