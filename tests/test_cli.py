"""The command line as scripts see it: documents, sentences, exit codes; without a process, beside one, in its way."""

import argparse
import asyncio
import ctypes
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from tests.kit.process import Server, wait_for
from vemetric import __version__, cli, control
from vemetric.accounts import logins
from vemetric.model import canary
from vemetric.services import Services

ROOT = Path(__file__).parents[1]
PR_CAPBSET_DROP = 24
HEAVY = {"aiohttp", "alembic", "sqlalchemy", "_chdb", "uvloop", "jinja2", "ua_parser", "argon2"}


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def run(
    data_dir: Path,
    *arguments: str,
    stdin: bytes = b"",
    before: Callable[[], None] | None = None,
    **environ: str,
) -> Done:
    """A command in a process of its own. before: done in that process first."""
    done = subprocess.run(
        [sys.executable, "-m", "vemetric", *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "VEMETRIC_DATA_DIR": str(data_dir), **environ},
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
        preexec_fn=before,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def without_override() -> None:
    """Drop the right to look everywhere (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH) of what is run next."""
    if os.geteuid() == 0:
        for capability in (1, 2):
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability)


class TestWithoutAProcess:
    """The stores are opened by the command itself."""

    def test_dead_letters_are_listed_and_revived(self, tmp_path: Path) -> None:
        data_dir = tmp_path / "data"
        run(data_dir, "project", "create", "--name", "Shop", "--domain", "shop.example")
        assert run(data_dir, "dead", "list", "--json").document == {"total": 0, "jobs": []}
        assert run(data_dir, "dead", "revive", "--all", "--queue", "event").out == "0 dead letters put back in line.\n"
        assert run(data_dir, "dead", "revive", "7", "8", "--json").code == 1
        assert run(data_dir, "dead", "revive").code == 2
        assert run(data_dir, "dead", "revive", "seven").code == 2

    def test_a_script_sets_everything_up(self, tmp_path: Path) -> None:
        data_dir = tmp_path / "data"
        made = run(data_dir, "project", "create", "--name", "Shop", "--domain", "www.shop.example", "--json")
        assert (made.code, made.err) == (0, f"vemetric: {data_dir} is a new data directory.\n")
        assert made.document["domain"] == "shop.example"
        assert made.document["id"].isdigit()
        assert len(made.document["token"]) == 16
        again = run(data_dir, "--json", "project", "create", "--name", "Shop", "--domain", "shop.example")
        assert again.code == 1
        assert again.document == {"error": "There is a project for shop.example already."}
        assert again.err == "vemetric: There is a project for shop.example already.\n"
        account = run(
            data_dir, "account", "create", "--email", "Ann@example.com", "--password-stdin", stdin=b"correct horse\r\n"
        )
        assert account == Done(0, "ann@example.com  Ann (operator)\n", "")
        stats = run(data_dir, "stats", "shop.example", "--timespan", "7days", "--json")
        assert {"users", "pageViews", "events", "bounceRate", "visitDuration"} <= stats.document.keys()
        verified = run(data_dir, "verify", "--project", "shop.example", "--json")
        assert (verified.code, verified.document["difference"]) == (0, 0)

    def test_bad_input_is_a_code_of_its_own(self, tmp_path: Path) -> None:
        done = run(tmp_path / "data", "project", "create", "--name", "Shop", "--domain", "localhost", "--json")
        assert done.code == 2
        assert done.document["error"].startswith("Domain: This is not a domain")
        assert done.err.count("\n") == 2

    def test_a_mistyped_directory_is_told_and_not_made(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        data_dir = tmp_path / "data"
        monkeypatch.setenv("VEMETRIC_DATA_DIR", str(data_dir))
        for command in (
            *("verify", "stats shop.example", "account list", "account reset-password --email a@b.example"),
            *("project list", "dead list", "dead revive --all", "mail outbox", "mail test --to a@b.example"),
            *("setup-link", "demo --remove", f"backup {tmp_path}/copy", "doctor"),
            "move --to-database postgresql://127.0.0.1:1/vemetric",
        ):
            code = cli.main(command.split())
            told = "".join(capsys.readouterr())
            assert code == (1 if command == "doctor" else 2), command
            assert f"VEMETRIC_DATA_DIR is '{data_dir}': it does not exist." in told
            assert not data_dir.exists()
            assert not (tmp_path / "copy").exists()

    @pytest.mark.parametrize("where", ["closed", "closed/data"])
    def test_one_of_another_user_is_told_in_one_line(self, tmp_path: Path, where: str) -> None:
        """As somebody runs commands on a server's data without being its user."""
        (tmp_path / "closed").mkdir(mode=0o000)
        for command in ("verify", "account create --email a@b.example --password 12345678", f"backup {tmp_path}/copy"):
            done = run(tmp_path / where, *command.split(), before=without_override)
            assert (done.code, done.err.count("\n")) == (2, 1)
            assert "this user may not look into it. Commands are for the user" in done.err
        done = run(tmp_path / where, "doctor", before=without_override)
        assert (done.code, done.err) == (1, "")
        assert "may not look" in done.out

    def test_a_data_directory_that_cannot_be_is_told_in_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        done = run(tmp_path / "file" / "data", "project", "create", "--name", "Shop", "--domain", "shop.example")
        assert done.code == 2
        assert done.err.startswith("vemetric: VEMETRIC_DATA_DIR is ")
        assert done.err.count("\n") == 1


class TestBesideAProcess:
    """This test's own process listens; the command is another one."""

    @pytest.fixture
    async def data_dir(self, live_services: Services) -> Any:
        async with control.listening(live_services):
            yield live_services.config.data_dir

    async def test_the_process_does_it(self, live_services: Services, data_dir: Path) -> None:
        arguments = ("account", "create", "--email", "ann@example.com", "--password", "correct horse", "--name", "Ann")
        made = await asyncio.to_thread(run, data_dir, *arguments, "--json")
        assert made.code == 0
        assert made.document["isOperator"] is True
        _, login = await logins.sign_in(
            live_services.database,
            live_services.keys,
            live_services.clock,
            "ann@example.com",
            "correct horse",
            logins.Browser(),
        )
        assert login.account_id == made.document["id"]

    async def test_errors_and_codes_are_the_same(self, data_dir: Path) -> None:
        missing = await asyncio.to_thread(run, data_dir, "stats", "shop.example", "--json")
        assert (missing.code, missing.document) == (1, {"error": "There is no project for shop.example."})
        wrong = await asyncio.to_thread(
            run, data_dir, "account", "create", "--email", "ann@example.com", "--password-stdin", stdin=b"short"
        )
        assert wrong == Done(2, "", "vemetric: Password: Use at least 8 characters.\n")

    async def test_a_difference_is_a_failure_with_its_document(self, live_services: Services, data_dir: Path) -> None:
        await live_services.keys.add({f"accepted:{canary.PROJECT_ID + 1}:1": 3})
        done = await asyncio.to_thread(run, data_dir, "verify", "--json")
        assert done.code == 1
        assert (done.document["missing"], done.document["difference"]) == (3, 3)

    async def test_a_letter_that_was_not_sent_is_a_failure(self, data_dir: Path) -> None:
        done = await asyncio.to_thread(run, data_dir, "mail", "test", "--to", "ann@example.com")
        assert done.code == 1
        assert done.out.startswith("The letter to ann@example.com was not sent: no mail is set up (SMTP_HOST")

    async def test_asking_needs_none_of_what_answering_does(self, data_dir: Path) -> None:
        script = (
            "import sys; from vemetric import cli; code = cli.main(['project', 'list', '--json']);"
            "print(*sys.modules, file=sys.stderr); sys.exit(code)"
        )
        environ = {"VEMETRIC_DATA_DIR": str(data_dir), "PATH": os.environ["PATH"]}
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", script], cwd=ROOT, env=environ, capture_output=True, check=True
        )
        assert json.loads(done.stdout) == {"projects": []}
        assert {module.partition(".")[0] for module in done.stderr.decode().split()} & HEAVY == set()


class TestRealProcess:
    """`vemetric` itself runs; commands come while it does, and after it was killed."""

    def test_beside_it_and_over_what_it_leaves(self, tmp_path: Path) -> None:
        data_dir = tmp_path / "data"
        server = started(data_dir)
        try:
            token = server.setup_link().rpartition("/")[2]
            made = server.run("project", "create", "--name", "Shop", "--domain", "shop.example")
            link = server.run("setup-link")["url"]
            assert link.startswith(f"http://127.0.0.1:{server.port}/setup/")
            assert not link.endswith(token)
            second = run(data_dir, "serve", VEMETRIC_LISTEN=f"127.0.0.1:{server.port}")
            assert second.code == 2
            assert second.err.count("\n") == 1
            assert str(server.pid) in second.err
            assert server.run("project", "list")["projects"] == [made]
            assert (data_dir / control.SOCKET_NAME).exists()
        finally:
            server.kill()
        assert (data_dir / control.SOCKET_NAME).exists()
        assert server.run("project", "list")["projects"] == [made]
        server.start()
        assert server.run("project", "list")["projects"] == [made]
        assert server.stop() == 0
        assert not (data_dir / control.SOCKET_NAME).exists()

    def test_an_open_directory_is_warned_about_and_what_is_made_in_it_is_private(self, tmp_path: Path) -> None:
        data_dir = tmp_path / "data"
        data_dir.mkdir()
        data_dir.chmod(0o755)
        server = started(data_dir)
        try:
            [warned] = [line for line in server.log if " WARNING " in line]
            assert "VEMETRIC_DATA_DIR is" in warned
            assert "(mode 755)" in warned
            made = list(data_dir.rglob("*"))
            assert {"secret.key", "vemetric.db", "queue.db", "format.json"} <= {path.name for path in made}
            assert [path for path in made if path.stat().st_mode & 0o077] == []
        finally:
            server.kill()

    def test_a_start_waits_for_who_has_the_data_for_a_moment(self, tmp_path: Path) -> None:
        server = prepared(tmp_path / "data")
        server.data_dir.mkdir(mode=0o700)
        (server.data_dir / "analytics").mkdir()
        with ThreadPoolExecutor(1) as pool:
            with (server.data_dir / "analytics" / "lock").open("w") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                starting = pool.submit(server.start)
                wait_for(lambda: [line for line in server.log if "for it to end." in line], "the sentence")
                assert not starting.done()
            starting.result()
        try:
            assert "is in use by process" in server.log[0]
            assert len(server.log) == 2
            assert server.stop() == 0
        finally:
            server.kill()

    def test_its_health_can_be_asked_with_tls_and_without(self, tmp_path: Path) -> None:
        authority = trustme.CA().issue_cert("stats.example.com")
        authority.private_key_pem.write_to_path(tmp_path / "key.pem")
        authority.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
        files = {
            "VEMETRIC_TLS_CERTIFICATE": str(tmp_path / "certificate.pem"),
            "VEMETRIC_TLS_KEY": str(tmp_path / "key.pem"),
        }
        for scheme, settings in (("http", {}), ("https", files)):
            server = started(tmp_path / "data", **settings)
            try:
                url = f"{scheme}://127.0.0.1:{server.port}/up"
                assert server.run("healthcheck") == {"isHealthy": True, "url": url}
                assert server.command("healthcheck").stdout == f"{url} answers.\n"
                assert server.stop() == 0
            finally:
                server.kill()
            ended = server.command("healthcheck", "--json")
            assert ended.returncode == 3
            assert json.loads(ended.stdout)["error"].startswith(f"{url} does not answer")

    def test_the_fullest_log_holds_no_statement_with_its_values(self, tmp_path: Path) -> None:
        server = started(tmp_path / "data", VEMETRIC_LOG_LEVEL="debug")
        try:
            server.run("account", "create", "--email", "ann@example.com", "--password", "correct horse")
            assert server.stop() == 0
        finally:
            server.kill()
        assert [line for line in server.log if "$argon2" in line or "INSERT" in line or "ann@" in line] == []


def started(data_dir: Path, **settings: str) -> Server:
    return prepared(data_dir, **settings).start()


def prepared(data_dir: Path, **settings: str) -> Server:
    """The process, from the source, not started yet."""
    environ = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **settings}
    return Server(data_dir, command=(sys.executable, "-m", "vemetric"), environ=environ)


def test_a_process_that_does_not_answer_is_unreachable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VEMETRIC_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(cli, "BUSY_SECONDS_MAX", 0)
    (tmp_path / "analytics").mkdir()
    with (tmp_path / "analytics" / "lock").open("w") as owned:
        fcntl.flock(owned, fcntl.LOCK_EX)
        assert cli.main(["project", "list", "--json"]) == 3
    told = capsys.readouterr()
    assert json.loads(told.out)["error"].endswith("It does not answer on its socket.")
    assert told.err.startswith("vemetric: ")


class TestSmallCommands:
    """What needs no store."""

    def test_the_version_is_quick_to_tell(self, tmp_path: Path) -> None:
        script = "import sys; from vemetric import cli; cli.main(['version']); print(*sys.modules, file=sys.stderr)"
        done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=True, text=True)
        assert done.stdout == f"vemetric {__version__}\n"
        loaded = {module.partition(".")[0] for module in done.stderr.split()}
        assert loaded & (HEAVY | {"asyncio", "msgspec", "logging", "socket"}) == set()

    @pytest.mark.parametrize("arguments", [("version", "--json"), ("--version", "--json"), ("--json", "--version")])
    def test_the_version_as_a_document(self, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
        assert cli.main(arguments) == 0
        assert json.loads(capsys.readouterr().out) == {"version": __version__}

    def test_config_tells_values_and_which_are_set(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("VEMETRIC_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("VEMETRIC_LISTEN", "[::1]:8080")
        assert cli.main(["config", "--json"]) == 0
        settings = {one["name"]: one for one in json.loads(capsys.readouterr().out)["settings"]}
        assert (settings["VEMETRIC_LISTEN"]["value"], settings["VEMETRIC_LISTEN"]["isSet"]) == ("[::1]:8080", True)
        assert settings["VEMETRIC_LOG_LEVEL"]["value"] == "info"
        assert not settings["VEMETRIC_LOG_LEVEL"]["isSet"]
        assert cli.main(["config"]) == 0
        assert "VEMETRIC_LISTEN" in capsys.readouterr().out

    @pytest.mark.parametrize(("name", "value"), [("VEMETRIC_LISTEN", "nowhere"), ("VEMETRIC_LISTENN", "127.0.0.1:1")])
    def test_a_wrong_setting_is_told_in_one_line(self, tmp_path: Path, name: str, value: str) -> None:
        for arguments in ((), ("project", "list")):
            done = run(tmp_path / "data", *arguments, **{name: value})
            assert done.code == 2
            assert done.err.startswith(f"vemetric: {name} is ")
            assert done.err.count("\n") == 1

    @pytest.mark.parametrize(
        "arguments",
        [
            ("nonsense",),
            ("account",),
            ("account", "create"),
            ("account", "create", "--email", "a@example.com", "--password", "x", "--password-stdin"),
            ("project", "create", "--name", "Shop"),
            ("stats",),
            ("version", "extra"),
        ],
    )
    def test_wrong_usage_is_told(self, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
        assert cli.main(arguments) == 2
        assert "usage: vemetric" in capsys.readouterr().err
        assert cli.main([*arguments, "--json"]) == 2
        assert json.loads(capsys.readouterr().out).keys() == {"error"}

    def test_help_is_no_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["--help"]) == 0
        assert "setup-link" in capsys.readouterr().out

    def test_every_command_and_option_is_explained(self) -> None:
        unexplained, commands = [], 0
        waiting = [cli._parser()]
        while waiting:
            parser = waiting.pop()
            commands += 1
            unexplained += [parser.prog] if not parser.description else []
            for action in parser._actions:
                if isinstance(action, argparse._SubParsersAction):
                    waiting += action.choices.values()
                elif not action.help:
                    unexplained.append(f"{parser.prog} {action.dest}")
        assert unexplained == []
        assert commands > 20

    def test_a_reader_that_leaves_is_no_error(self, tmp_path: Path) -> None:
        command = f"{sys.executable} -m vemetric config --json | true; exit ${{PIPESTATUS[0]}}"
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "VEMETRIC_DATA_DIR": str(tmp_path)}
        done = subprocess.run(["bash", "-c", command], env=environ, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")

    def test_a_password_that_is_no_text_is_refused(self, tmp_path: Path) -> None:
        arguments = ("account", "create", "--email", "ann@example.com", "--password-stdin")
        done = run(tmp_path / "data", *arguments, stdin=b"\xff\xfe12345678\n")
        assert done == Done(2, "", "vemetric: The password on standard input is not UTF-8.\n")
