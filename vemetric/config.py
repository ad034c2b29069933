"""Every setting in one table, read once from the environment; docs and `vemetric config` are made of it."""

import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from vemetric import errors

PREFIX = "VEMETRIC_"
IGNORED_PREFIX = "VEMETRIC_TEST_"
# A host name, an IPv4 or a bracketed IPv6 address, and a port: no user, no password, nothing that needs escaping.
PUBLIC_HOST = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
# Alike enough (0 to 1) to be taken for a mistyped known name.
NEARNESS = 0.8
# So much of a known name is that name cut short, as TLS_CERT is.
CUT_MIN = 6
# Settings of the server stores: not in this version, so naming one must not look as if it had worked.
NOT_YET = ("DATABASE_URL", "REDIS_URL", "CLICKHOUSE_URL", "CLICKHOUSE_HOST", "VEMETRIC_ROLES")


class Address(NamedTuple):
    """Where to listen. An IPv6 host is kept without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Config(msgspec.Struct, frozen=True):
    """The settings in force. The doc of each field stands in OPTIONS."""

    data_dir: Path
    listen: Address
    hub_listen: Address | None
    public_url: str
    tls_certificate: Path | None
    tls_key: Path | None
    trusted_proxies: str
    log_level: str
    drain_seconds: int
    time_zone: str
    session_minutes: int
    hit_body_bytes_max: int
    ingest_requests_per_minute: int
    geo_database: Path | None
    queue_jobs_max: int
    queue_retries: int
    queue_backoff_seconds: float
    queue_lease_seconds: int
    batch_jobs_max: int
    batch_linger_ms: int
    engine_memory_mb: int
    engine_threads: int
    engine_merge_threads: int
    engine_query_seconds: int
    engine_insert_seconds: int


class Option(NamedTuple):
    """One line of the table. `parse` raises ValueError; `allowed` completes the sentence "it must be ..."."""

    name: str
    default: str
    parse: Callable[[str], Any]
    allowed: str
    doc: str
    secret: bool = False

    @property
    def field(self) -> str:
        return self.name.removeprefix(PREFIX).lower()


def parse_address(text: str) -> Address:
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError(text)
    return Address(host or "0.0.0.0", int(port))  # noqa: S104 - an empty host means every interface


def parse_optional_address(text: str) -> Address | None:
    return parse_address(text) if text else None


def parse_public_url(text: str) -> str:
    if not text:
        return ""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(text)
    if PUBLIC_HOST.fullmatch(parts.netloc) is None:
        raise ValueError(text)
    _ = parts.port  # raises ValueError on a bad port
    return f"{parts.scheme}://{parts.netloc}"


def parse_path(text: str) -> Path:
    if not text:
        raise ValueError(text)
    return Path(text).expanduser().absolute()


def parse_optional_path(text: str) -> Path | None:
    return parse_path(text) if text else None


def parse_existing_path(text: str) -> Path | None:
    path = parse_optional_path(text)
    if path is not None and not path.is_file():
        raise ValueError(text)
    return path


def parse_time_zone(text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(text) from error


def one_of(*names: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in names:
            raise ValueError(text)
        return text.lower()

    return parse


def between(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
            raise ValueError(text)
        return int(text)

    return parse


def seconds_between(lowest: float, highest: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        number = float(text)
        if not lowest <= number <= highest:
            raise ValueError(text)
        return number

    return parse


def a_number(lowest: int, highest: int, unit: str) -> str:
    return f"a whole number of {unit} from {lowest} to {highest}"


def number(name: str, default: int, lowest: int, highest: int, unit: str, doc: str) -> Option:
    return Option(name, str(default), between(lowest, highest), a_number(lowest, highest, unit), doc)


OPTIONS: tuple[Option, ...] = (
    Option(
        "VEMETRIC_DATA_DIR",
        "./vemetric-data",
        parse_path,
        "the path of a directory that may be written",
        "Where everything is kept: accounts, queue, analytics, secrets. Made on first start.",
    ),
    Option(
        "VEMETRIC_LISTEN",
        "0.0.0.0:4000",
        parse_address,
        "address:port, such as 127.0.0.1:4000 or [::]:4000",
        "Where the dashboard and the hub listen.",
    ),
    Option(
        "VEMETRIC_HUB_LISTEN",
        "",
        parse_optional_address,
        "address:port, or nothing",
        "A listener of its own for the hub (the ingest endpoints) alone, beside the shared one.",
    ),
    Option(
        "VEMETRIC_PUBLIC_URL",
        "",
        parse_public_url,
        "http:// or https:// with a host and no path, such as https://stats.example.com",
        "The address people and sites use. Set it behind a proxy; snippets and links are made of it.",
    ),
    Option(
        "VEMETRIC_TLS_CERTIFICATE",
        "",
        parse_existing_path,
        "the path of a PEM file that exists",
        "A certificate chain in PEM form switches HTTPS on. Read again when the file changes.",
    ),
    Option(
        "VEMETRIC_TLS_KEY",
        "",
        parse_existing_path,
        "the path of a PEM file that exists",
        "The private key of the certificate, in PEM form.",
    ),
    Option(
        "VEMETRIC_TRUSTED_PROXIES",
        "",
        str,
        "a comma list of addresses, networks (CIDR) and presets",
        "Whose headers say where a request comes from. Addresses and networks are believed for X-Forwarded-For, read "
        "from the right; presets: cloudflare, fly, loopback (a proxy on this machine), everything (any header of "
        "anybody: only behind a proxy that removes them). Nothing is trusted by default.",
    ),
    Option(
        "VEMETRIC_LOG_LEVEL",
        "info",
        one_of("debug", "info", "warning", "error"),
        "debug, info, warning or error",
        "How much is logged.",
    ),
    number("VEMETRIC_DRAIN_SECONDS", 20, 1, 600, "seconds", "How long a stop waits for requests and jobs under way."),
    Option(
        "VEMETRIC_TIME_ZONE",
        "UTC",
        parse_time_zone,
        "the name of a time zone, such as Europe/Vienna",
        "The time zone new projects start with.",
    ),
    number("VEMETRIC_SESSION_MINUTES", 30, 1, 1440, "minutes", "Inactivity after which a visit has ended."),
    number(
        "VEMETRIC_HIT_BODY_BYTES_MAX",
        262_144,
        1024,
        1_048_576,
        "bytes",
        "The largest body the hub takes; a larger one is answered with 413.",
    ),
    number(
        "VEMETRIC_INGEST_REQUESTS_PER_MINUTE",
        0,
        0,
        1_000_000,
        "requests",
        "Requests an address may send to the hub in a minute; more are answered with 429. 0: no limit.",
    ),
    Option(
        "VEMETRIC_GEO_DATABASE",
        "",
        parse_existing_path,
        "the path of an MMDB file that exists",
        "A city or country database in MMDB form, used instead of the country database inside.",
    ),
    number(
        "VEMETRIC_QUEUE_JOBS_MAX",
        5_000_000,
        1000,
        1_000_000_000,
        "jobs",
        "How many jobs may wait; beyond it the hub answers 503 until the backlog shrinks.",
    ),
    number("VEMETRIC_QUEUE_RETRIES", 5, 0, 100, "retries", "How often a failing job is retried before it is buried."),
    Option(
        "VEMETRIC_QUEUE_BACKOFF_SECONDS",
        "1",
        seconds_between(0.01, 3600),
        "a number of seconds from 0.01 to 3600",
        "The wait before the first retry; it doubles with each further one.",
    ),
    number(
        "VEMETRIC_QUEUE_LEASE_SECONDS",
        90,
        2,
        3600,
        "seconds",
        "How long a claimed batch belongs to its worker. At least twice VEMETRIC_ENGINE_INSERT_SECONDS.",
    ),
    number("VEMETRIC_BATCH_JOBS_MAX", 5000, 1, 100_000, "jobs", "The most jobs one insert is made of."),
    number("VEMETRIC_BATCH_LINGER_MS", 500, 0, 60_000, "milliseconds", "How long a small batch waits for company."),
    number(
        "VEMETRIC_ENGINE_MEMORY_MB",
        700,
        400,
        1_000_000,
        "megabytes",
        "The most memory the process may hold before the embedded analytics engine refuses work.",
    ),
    number("VEMETRIC_ENGINE_THREADS", 2, 1, 256, "threads", "Threads a query of the embedded engine may use."),
    number("VEMETRIC_ENGINE_MERGE_THREADS", 1, 1, 64, "threads", "Threads that merge parts in the background."),
    number("VEMETRIC_ENGINE_QUERY_SECONDS", 30, 1, 3600, "seconds", "A longer query of a page is stopped."),
    number("VEMETRIC_ENGINE_INSERT_SECONDS", 20, 1, 600, "seconds", "A longer insert is stopped and tried again."),
)


def load(environ: Mapping[str, str]) -> tuple[Config, list[str]]:
    """Read the settings. Returns them and warnings, a sentence each; raises Misconfigured with one sentence."""
    warnings = _check_names(environ)
    values = {option.field: _parse(option, environ.get(option.name, "").strip()) for option in OPTIONS}
    config = Config(**values)
    if (config.tls_certificate is None) != (config.tls_key is None):
        raise errors.Misconfigured("VEMETRIC_TLS_CERTIFICATE and VEMETRIC_TLS_KEY are only allowed together.")
    # An insert begins only where the lease outlasts it, and a lease is prolonged when a third of it is over.
    if config.queue_lease_seconds < 2 * config.engine_insert_seconds:
        raise errors.Misconfigured(
            f"VEMETRIC_QUEUE_LEASE_SECONDS is {config.queue_lease_seconds}: "
            f"it must be at least twice VEMETRIC_ENGINE_INSERT_SECONDS ({config.engine_insert_seconds})."
        )
    return config, warnings


def _parse(option: Option, text: str) -> Any:
    try:
        return option.parse(text or option.default)
    except ValueError:
        shown = "(hidden)" if option.secret else repr(text)
        raise errors.Misconfigured(f"{option.name} is {shown}: it must be {option.allowed}.") from None


def _check_names(environ: Mapping[str, str]) -> list[str]:
    known = {option.name for option in OPTIONS}
    warnings = [f"{name} is set but not used by this version." for name in NOT_YET if environ.get(name)]
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in known or name in NOT_YET or name.startswith(IGNORED_PREFIX):
            continue
        near = _near(name.removeprefix(PREFIX), [option.removeprefix(PREFIX) for option in sorted(known)])
        if near:
            raise errors.Misconfigured(f"{name} is not a setting; did you mean {PREFIX}{near[0]}?")
        warnings.append(f"{name} is not a setting of Vemetric and is ignored.")
    return warnings


def _near(stem: str, known: list[str]) -> list[str]:
    """The known names this one is probably meant to be: nearly alike, cut short, or drawn out."""
    drawn_out = [name for name in known if stem.startswith(name) or (len(stem) >= CUT_MIN and name.startswith(stem))]
    return drawn_out or difflib.get_close_matches(stem, known, n=1, cutoff=NEARNESS)


def as_markdown() -> str:
    """The text of docs/configuration.md."""
    lines = [
        "# Configuration",
        "",
        "Settings are environment variables. None is needed. This page is made from `vemetric/config.py`; "
        "`vemetric config` prints the values in force.",
        "",
        "A value that is not allowed, or a name that is nearly a known one, stops the start with a sentence that says "
        "what is wrong. Other unknown `VEMETRIC_*` names are only warned about.",
        "",
        "| variable | default | allowed | what it does |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| `{o.name}` | {f'`{o.default}`' if o.default else 'none'} | {o.allowed} | {o.doc} |" for o in OPTIONS]
    return "\n".join(lines) + "\n"
