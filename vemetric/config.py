"""Every setting in one table, read once from the environment; docs and `vemetric config` are made of it."""

import difflib
import re
from collections.abc import Callable, Mapping
from email.utils import formataddr, parseaddr
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec

from vemetric import errors
from vemetric.model import clickhouse_url, redis_url
from vemetric.model.clickhouse_url import ClickHouseUrl
from vemetric.model.redis_url import RedisUrl

PREFIX = "VEMETRIC_"
IGNORED_PREFIX = "VEMETRIC_TEST_"
# A host name, an IPv4 or a bracketed IPv6 address, and a port: no user, no password, nothing that needs escaping.
PUBLIC_HOST = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
BASE_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
BASE_PATH_CHARACTERS_MAX = 200
HOST_NAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
HOST_NAMES_MAX = 20
# Alike enough (0 to 1) to be taken for a mistyped known name.
NEARNESS = 0.8
# So much of a known name is that name cut short, as TLS_CERT is.
CUT_MIN = 6
HUB, WEB, WORKER = "hub", "web", "worker"
ROLES = (HUB, WEB, WORKER)
# Where roles are split over processes, each of these names a server that all of them reach.
SHARED_STORES = ("DATABASE_URL", "REDIS_URL", "CLICKHOUSE_URL")
SECRET_CHARACTERS_MIN = 32
# What comes late may be three days old; it must not be removed the night it came.
RETENTION_DAYS_MIN, RETENTION_DAYS_MAX = 7, 36_500
# Of a server whose CLICKHOUSE_HOST is said; CLICKHOUSE_URL holds them all.
CLICKHOUSE_PARTS = ("CLICKHOUSE_DB", "CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD")
KEY_PREFIX = re.compile(r"[\w.:-]{1,64}", re.ASCII)
CLUSTER_NAME = re.compile(r"[\w.-]{1,64}", re.ASCII)


class Address(NamedTuple):
    """Where to listen. An IPv6 host is kept without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Roles(tuple[str, ...]):
    """What a process does, in the order of ROLES."""

    def __str__(self) -> str:
        return ",".join(self)


class Config(msgspec.Struct, frozen=True):
    """The settings in force. The doc of each field stands in OPTIONS."""

    data_dir: Path
    roles: Roles
    secret: str
    listen: Address
    hub_listen: Address | None
    admin_listen: Address | None
    admin_read_only: bool
    bullboard_username: str
    bullboard_password: str
    metrics_token: str
    public_url: str
    base_path: str
    tls_certificate: Path | None
    tls_key: Path | None
    acme_domains: tuple[str, ...]
    acme_agree: bool
    acme_email: str
    acme_directory: str
    acme_ca: Path | None
    acme_listen: Address
    trusted_proxies: str
    log_level: str
    log_format: str
    canary: bool
    drain_seconds: int
    time_zone: str
    session_minutes: int
    retention_days: int
    hit_body_bytes_max: int
    ingest_requests_per_minute: int
    api_requests_per_minute: int
    plan_limits: bool
    geo_database: Path | None
    queue_jobs_max: int
    queue_retries: int
    queue_backoff_seconds: float
    queue_lease_seconds: int
    batch_jobs_max: int
    batch_linger_ms: int
    memory_limit: int
    engine_memory_mb: int
    engine_threads: int
    engine_merge_threads: int
    engine_query_seconds: int
    engine_insert_seconds: int
    database_url: str
    database_replica_url: str
    database_connections_max: int
    redis_url: RedisUrl | None
    redis_prefix: str
    redis_may_lose: bool
    clickhouse_url: ClickHouseUrl | None
    clickhouse_host: ClickHouseUrl | None
    clickhouse_db: str
    clickhouse_user: str
    clickhouse_password: str
    clickhouse_cluster: str
    clickhouse_ca: Path | None
    sign_up: str
    mail_from: str
    mail_tips: bool
    smtp_host: str
    smtp_port: int
    smtp_tls: str
    smtp_user: str
    smtp_password: str
    postmark_server_api_token: str
    postmark_transactional_message_stream_id: str
    postmark_tips_message_stream_id: str
    google_client_id: str
    google_client_secret: str
    github_client_id: str
    github_client_secret: str
    github_url: str
    oidc_issuer: str
    oidc_client_id: str
    oidc_client_secret: str
    oidc_name: str
    oidc_scopes: str
    aws_access_key_id: str
    aws_secret_access_key: str
    aws_s3_endpoint: str
    aws_s3_avatars_bucket: str
    aws_s3_avatars_region: str
    aws_s3_avatars_key_prefix: str
    paddle_webhook_secret_key: str
    paddle_plans: dict[str, int]
    paddle_api_key: str
    paddle_environment: str

    @property
    def is_tls(self) -> bool:
        """Whether the listeners speak TLS."""
        return self.tls_certificate is not None or bool(self.acme_domains)

    @property
    def clickhouse(self) -> ClickHouseUrl | None:
        """The ClickHouse server, however it was named; None for the engine in the process."""
        if self.clickhouse_host is None:
            return self.clickhouse_url
        return self.clickhouse_host._replace(
            user=self.clickhouse_user or clickhouse_url.DEFAULT_USER,
            password=self.clickhouse_password,
            database=self.clickhouse_db or clickhouse_url.DEFAULT_DATABASE,
        )


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
    if parts.scheme not in ("http", "https") or parts.query or parts.fragment:
        raise ValueError(text)
    if PUBLIC_HOST.fullmatch(parts.netloc) is None:
        raise ValueError(text)
    _ = parts.port  # raises ValueError on a bad port
    return f"{parts.scheme}://{parts.netloc}{parse_base_path(parts.path)}"


def parse_host_names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    if len(names) > HOST_NAMES_MAX or not all(HOST_NAME.fullmatch(name) for name in names):
        raise ValueError(text)
    return names


def parse_base_path(text: str) -> str:
    """A path without a slash at its end; '' for the whole host."""
    path = text.removesuffix("/")
    if path and (BASE_PATH.fullmatch(path) is None or len(path) > BASE_PATH_CHARACTERS_MAX):
        raise ValueError(text)
    return path


def parse_roles(text: str) -> Roles:
    named = {name.strip().lower() for name in text.split(",")}
    if not named <= set(ROLES):
        raise ValueError(text)
    return Roles(role for role in ROLES if role in named)


def parse_secret(text: str) -> str:
    if 0 < len(text) < SECRET_CHARACTERS_MIN:
        raise ValueError(text)
    return text


def parse_database_url(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("postgresql", "postgres") or not parts.hostname or not parts.path.strip("/")):
        raise ValueError(text)
    _ = parts.port  # raises ValueError on a bad port
    return text


def parse_redis_url(text: str) -> RedisUrl | None:
    return redis_url.parse(text) if text else None


def parse_key_prefix(text: str) -> str:
    if not KEY_PREFIX.fullmatch(text):
        raise ValueError(text)
    return text


def parse_clickhouse_url(text: str) -> ClickHouseUrl | None:
    return clickhouse_url.parse(text) if text else None


def parse_clickhouse_host(text: str) -> ClickHouseUrl | None:
    at = parse_clickhouse_url(text)
    if at is not None and at != clickhouse_url.parse(at.url):
        raise ValueError(text)
    return at


def parse_database_name(text: str) -> str:
    if text and not clickhouse_url.DATABASE_NAME.fullmatch(text):
        raise ValueError(text)
    return text


def parse_cluster(text: str) -> str:
    if text and not CLUSTER_NAME.fullmatch(text):
        raise ValueError(text)
    return text


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


def parse_mailbox(text: str) -> str:
    """An address, or a name with an address in angle brackets."""
    name, address = parseaddr(text)
    if text and ("@" not in address or not text.isprintable() or formataddr((name, address)) != text):
        raise ValueError(text)
    return text


def parse_server_url(text: str) -> str:
    """An http address that may have a path, without a slash at its end."""
    if text:
        parts = urlsplit(text)
        if parts.scheme not in ("http", "https") or PUBLIC_HOST.fullmatch(parts.netloc) is None:
            raise ValueError(text)
        if parts.query or parts.fragment or not text.isprintable() or " " in text:
            raise ValueError(text)
    return text.rstrip("/")


def parse_plans(text: str) -> dict[str, int]:
    """`pri_a=10000,pri_b=100000`: the events a month of each price."""
    pairs = [part.strip().partition("=") for part in text.split(",") if part.strip()]
    if not all(name and events.isascii() and events.isdigit() for name, _, events in pairs):
        raise ValueError(text)
    return {name: int(events) for name, _, events in pairs}


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


def zero_or(lowest: int, highest: int) -> Callable[[str], int]:
    parse = between(lowest, highest)
    return lambda text: 0 if text == "0" else parse(text)


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
        "VEMETRIC_ROLES",
        ",".join(ROLES),
        parse_roles,
        "a comma list of hub, web and worker",
        "What this process does: take hits, show pages, work on what was taken. Any number of processes can share the "
        "work, each with a data directory of its own, once all three stores are servers.",
    ),
    Option(
        "VEMETRIC_SECRET",
        "",
        parse_secret,
        f"text of at least {SECRET_CHARACTERS_MIN} characters",
        "What forms and links are signed with, the same for all processes. One alone makes its own and keeps it in the "
        "data directory.",
        secret=True,
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
        "VEMETRIC_ADMIN_LISTEN",
        "",
        parse_optional_address,
        "address:port, or nothing",
        "A listener of its own for the operator: /admin and /metrics are answered there alone, the latter to whoever "
        "can reach it.",
    ),
    Option(
        "VEMETRIC_ADMIN_READ_ONLY",
        "no",
        lambda text: one_of("yes", "no")(text) == "yes",
        "yes or no",
        "Let /admin show everything and change nothing.",
    ),
    Option(
        "BULLBOARD_USERNAME",
        "",
        str,
        "text without a colon",
        "Opens /admin to whoever knows this name and BULLBOARD_PASSWORD (HTTP basic auth), beside operator accounts.",
    ),
    Option("BULLBOARD_PASSWORD", "", str, "text", "The password that goes with it.", secret=True),
    Option(
        "VEMETRIC_METRICS_TOKEN",
        "",
        str,
        "text",
        "Opens /metrics to whoever sends it: `Authorization: Bearer <token>`. Without it there is no /metrics but on "
        "VEMETRIC_ADMIN_LISTEN.",
        secret=True,
    ),
    Option(
        "VEMETRIC_PUBLIC_URL",
        "",
        parse_public_url,
        "http:// or https:// with a host, such as https://stats.example.com, and the base path if there is one",
        "The address people and sites use. Set it behind a proxy; snippets and links are made of it.",
    ),
    Option(
        "VEMETRIC_BASE_PATH",
        "",
        parse_base_path,
        "a path of letters, digits, `-`, `_`, `.` and `~`, such as /stats, or nothing",
        "The path below which everything is, where the host has other things too. The path of VEMETRIC_PUBLIC_URL says "
        "the same.",
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
        "VEMETRIC_ACME_DOMAINS",
        "",
        parse_host_names,
        f"a comma list of at most {HOST_NAMES_MAX} host names, such as stats.example.com",
        "Gets a certificate for these names from an ACME service, renews it, and switches HTTPS on. Port 80 of the "
        "names must lead to VEMETRIC_ACME_LISTEN.",
    ),
    Option(
        "VEMETRIC_ACME_AGREE",
        "no",
        lambda text: one_of("yes", "no")(text) == "yes",
        "yes or no",
        "Whether you agree to the terms of the ACME service; without that it gives nothing.",
    ),
    Option(
        "VEMETRIC_ACME_EMAIL",
        "",
        parse_mailbox,
        "an e-mail address, or nothing",
        "Where the ACME service writes to about the account.",
    ),
    Option(
        "VEMETRIC_ACME_DIRECTORY",
        "https://acme-v02.api.letsencrypt.org/directory",
        parse_server_url,
        "an http or https address",
        "The ACME service, by default Let's Encrypt.",
    ),
    Option(
        "VEMETRIC_ACME_CA",
        "",
        parse_existing_path,
        "the path of a PEM file that exists",
        "Who vouches for the ACME service itself, where that is a private one.",
    ),
    Option(
        "VEMETRIC_ACME_LISTEN",
        "0.0.0.0:80",
        parse_address,
        "address:port, such as 0.0.0.0:80",
        "Where the ACME service looks for its challenges; everybody else is sent from there to https.",
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
    Option(
        "VEMETRIC_LOG_FORMAT",
        "plain",
        one_of("plain", "json"),
        "plain or json",
        "Lines for people, or one JSON object a line: time, level, logger, message, request.",
    ),
    Option(
        "VEMETRIC_CANARY",
        "on",
        lambda text: one_of("on", "off")(text) == "on",
        "on or off",
        "Send an event of our own a minute through queue, worker and store. No page or count sees it; /ready says so "
        "when none has arrived for a while.",
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
    Option(
        "VEMETRIC_RETENTION_DAYS",
        "0",
        zero_or(RETENTION_DAYS_MIN, RETENTION_DAYS_MAX),
        "a whole number of days from 7 to 36500, or 0",
        "How long events and visits are kept where a project does not say so itself; 0: for ever.",
    ),
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
    number(
        "VEMETRIC_API_REQUESTS_PER_MINUTE",
        100,
        1,
        1_000_000,
        "requests",
        "Requests to the API that a project's keys may make in a minute, to read and to write apart.",
    ),
    Option(
        "VEMETRIC_PLAN_LIMITS",
        "no",
        lambda text: one_of("yes", "no")(text) == "yes",
        "yes or no",
        "Let the API show an organization without a subscription the last 32 days only.",
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
    Option(
        "VEMETRIC_MEMORY_LIMIT",
        "0",
        # Idle, with the engine loaded, it takes about 300.
        zero_or(500, 1_000_000),
        "a whole number of megabytes from 500 to 1000000, or 0",
        "The memory the whole process is to stay within, such as a container's less a tenth; 0: none. The embedded "
        "engine gets 85 % of it, whatever VEMETRIC_ENGINE_MEMORY_MB says; when memory is short, queries of pages run "
        "one by one, then wait, and pages say so.",
    ),
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
    Option(
        "DATABASE_URL",
        "",
        parse_database_url,
        "postgresql://user:password@host:5432/database",
        "A PostgreSQL server (14 or newer) for accounts, projects and identities, instead of a file. PgBouncer in "
        "front of it may work in transaction mode.",
        secret=True,
    ),
    Option(
        "VEMETRIC_DATABASE_REPLICA_URL",
        "",
        parse_database_url,
        "postgresql://user:password@host:5432/database",
        "A replica of that server for what pages show and may be a moment old. While it cannot be reached, the server "
        "itself is asked.",
        secret=True,
    ),
    number(
        "VEMETRIC_DATABASE_CONNECTIONS_MAX", 10, 1, 500, "connections", "Connections to PostgreSQL a process keeps."
    ),
    Option(
        "REDIS_URL",
        "",
        parse_redis_url,
        redis_url.ALLOWED,
        "A Redis (7 or newer) or Valkey for queue and keys, instead of a file. It must keep an append-only file and "
        "drop no keys (docs/scaling.md).",
        secret=True,
    ),
    Option(
        "VEMETRIC_REDIS_PREFIX",
        "vemetric",
        parse_key_prefix,
        "1 to 64 letters, digits and _ . : -",
        "What all keys begin with, in braces. Instances that share a server need different ones.",
    ),
    Option(
        "VEMETRIC_REDIS_MAY_LOSE",
        "no",
        lambda text: one_of("yes", "no")(text) == "yes",
        "yes or no",
        "Start on a Redis without append-only file, or one that drops keys when its memory is full. Accepted events "
        "can then be lost.",
    ),
    Option(
        "CLICKHOUSE_URL",
        "",
        parse_clickhouse_url,
        "http(s)://user:password@host:8123/database, all but scheme and host optional",
        "A ClickHouse server (25.8 or newer) for the analytics, instead of the engine in the process. The database is "
        "made if it is missing.",
        secret=True,
    ),
    Option(
        "CLICKHOUSE_HOST",
        "",
        parse_clickhouse_host,
        "http:// or https:// with a host and perhaps a port",
        "The same server in parts: its address, and the three settings below. Not beside CLICKHOUSE_URL.",
    ),
    Option(
        "CLICKHOUSE_DB",
        "",
        parse_database_name,
        "a name of letters, digits and _",
        "The database; vemetric without it.",
    ),
    Option("CLICKHOUSE_USER", "", str, "text", "The user; default without it."),
    Option("CLICKHOUSE_PASSWORD", "", str, "text", "The user's password.", secret=True),
    Option(
        "VEMETRIC_CLICKHOUSE_CLUSTER",
        "",
        parse_cluster,
        "the name of a cluster in the servers' configuration",
        "Spread the tables over this cluster: replicated, sharded by user (docs/clickhouse-cluster.md).",
    ),
    Option(
        "VEMETRIC_CLICKHOUSE_CA",
        "",
        parse_existing_path,
        "the path of a PEM file that exists",
        "The authority that signed the ClickHouse server's certificate, where the system does not know it.",
    ),
    Option(
        "VEMETRIC_SIGN_UP",
        "closed",
        one_of("closed", "invited", "open"),
        "closed, invited or open",
        "Who may make an account on the sign-up page: nobody, whoever has an invitation, or anybody. The first account "
        "is made through the set-up link, others by `vemetric account create`, whatever stands here.",
    ),
    Option(
        "VEMETRIC_MAIL_FROM",
        "",
        parse_mailbox,
        "an e-mail address, or a name with one: Vemetric <stats@example.com>",
        "The sender of letters. Needed as soon as SMTP_HOST or POSTMARK_SERVER_API_TOKEN is set.",
    ),
    Option(
        "VEMETRIC_MAIL_TIPS",
        "on",
        lambda text: one_of("on", "off")(text) == "on",
        "on or off",
        "Whether people who have no project yet, or no event, are written a few letters that help. Each can be "
        "unsubscribed from.",
    ),
    Option(
        "SMTP_HOST",
        "",
        str,
        "the name or address of a mail server",
        "The server that letters are sent through. Without it and Postmark they are written to the log and kept for "
        "the operator: `vemetric mail outbox`.",
    ),
    number("SMTP_PORT", 587, 1, 65535, "ports", "Where the mail server listens."),
    Option(
        "SMTP_TLS",
        "starttls",
        one_of("starttls", "tls", "none"),
        "starttls, tls or none",
        "How the connection to the mail server is encrypted: after STARTTLS (587), from the first byte (465), not.",
    ),
    Option("SMTP_USER", "", str, "text", "Whom to sign in to the mail server as; nobody without it."),
    Option("SMTP_PASSWORD", "", str, "text", "The password for the mail server.", secret=True),
    Option(
        "POSTMARK_SERVER_API_TOKEN",
        "",
        str,
        "a server token of Postmark",
        "Send letters through Postmark instead of SMTP.",
        secret=True,
    ),
    Option(
        "POSTMARK_TRANSACTIONAL_MESSAGE_STREAM_ID",
        "outbound",
        str,
        "the id of a message stream",
        "Postmark's stream for letters that somebody waits for.",
    ),
    Option(
        "POSTMARK_TIPS_MESSAGE_STREAM_ID",
        "broadcast",
        str,
        "the id of a message stream",
        "Postmark's stream for letters with tips.",
    ),
    Option("GOOGLE_CLIENT_ID", "", str, "text", "Signing in with Google; needs GOOGLE_CLIENT_SECRET."),
    Option("GOOGLE_CLIENT_SECRET", "", str, "text", "The secret of the Google client.", secret=True),
    Option("GITHUB_CLIENT_ID", "", str, "text", "Signing in with GitHub; needs GITHUB_CLIENT_SECRET."),
    Option("GITHUB_CLIENT_SECRET", "", str, "text", "The secret of the GitHub client.", secret=True),
    Option(
        "GITHUB_URL",
        "https://github.com",
        parse_server_url,
        "an http or https address",
        "Another GitHub, of a company.",
    ),
    Option(
        "OIDC_ISSUER",
        "",
        parse_server_url,
        "an http or https address",
        "Signing in with any OpenID Connect provider: its issuer. Needs OIDC_CLIENT_ID and OIDC_CLIENT_SECRET.",
    ),
    Option("OIDC_CLIENT_ID", "", str, "text", "The client that the provider knows this server as."),
    Option("OIDC_CLIENT_SECRET", "", str, "text", "The secret of that client.", secret=True),
    Option("OIDC_NAME", "Single sign-on", str, "text", "What the provider's button says."),
    Option("OIDC_SCOPES", "openid email profile", str, "scopes with spaces between", "What the provider is asked for."),
    Option("AWS_ACCESS_KEY_ID", "", str, "text", "The key for the bucket that pictures of people are kept in."),
    Option("AWS_SECRET_ACCESS_KEY", "", str, "text", "The secret of that key.", secret=True),
    Option(
        "AWS_S3_ENDPOINT",
        "",
        parse_server_url,
        "an http or https address",
        "The S3 service that pictures of people are kept in, with key, secret and bucket. Without it they are kept in "
        "the data directory.",
    ),
    Option("AWS_S3_AVATARS_BUCKET", "", str, "the name of a bucket", "The bucket for pictures of people."),
    Option("AWS_S3_AVATARS_REGION", "auto", str, "the name of a region", "The region of the bucket."),
    Option(
        "AWS_S3_AVATARS_KEY_PREFIX", "avatars/", str, "text", "What the names of pictures in the bucket begin with."
    ),
    Option(
        "PADDLE_WEBHOOK_SECRET_KEY",
        "",
        str,
        "text",
        "Switches billing on: the secret that Paddle signs its notices of subscriptions with.",
        secret=True,
    ),
    Option(
        "PADDLE_PLANS",
        "",
        parse_plans,
        "a comma list of price=events, such as pri_a=10000,pri_b=100000",
        "The events a month that each of Paddle's prices buys. More are counted all the same, with a warning.",
    ),
    Option(
        "PADDLE_API_KEY",
        "",
        str,
        "text",
        "Lets admins buy a plan of PADDLE_PLANS, change it, see invoices and cancel, through Paddle's API. Needs "
        "PADDLE_WEBHOOK_SECRET_KEY.",
        secret=True,
    ),
    Option(
        "PADDLE_ENVIRONMENT",
        "sandbox",
        one_of("sandbox", "production"),
        "sandbox or production",
        "Which Paddle PADDLE_API_KEY is of.",
    ),
)
# Settings that make sense only together.
TOGETHER = (
    ("VEMETRIC_TLS_CERTIFICATE", "VEMETRIC_TLS_KEY"),
    ("GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET"),
    ("GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"),
    ("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"),
    ("AWS_S3_ENDPOINT", "AWS_S3_AVATARS_BUCKET"),
    ("BULLBOARD_USERNAME", "BULLBOARD_PASSWORD"),
)


def load(environ: Mapping[str, str]) -> tuple[Config, list[str]]:
    """Read the settings. Returns them and warnings, a sentence each; raises Misconfigured with one sentence."""
    warnings = _check_names(environ)
    values = {option.field: _parse(option, environ.get(option.name, "").strip()) for option in OPTIONS}
    config = _with_public_url(Config(**values))
    _check_together(config)
    _check_database(config)
    _check_clickhouse(config)
    _check_roles(config)
    # An insert begins only where the lease outlasts it, and a lease is prolonged when a third of it is over.
    if config.queue_lease_seconds < 2 * config.engine_insert_seconds:
        raise errors.Misconfigured(
            f"VEMETRIC_QUEUE_LEASE_SECONDS is {config.queue_lease_seconds}: "
            f"it must be at least twice VEMETRIC_ENGINE_INSERT_SECONDS ({config.engine_insert_seconds})."
        )
    return config, warnings


def _with_public_url(config: Config) -> Config:
    """The base path and the public address both have the path, whichever of the two says it. Without an address it is
    that of the certificate.
    """
    if not config.public_url:
        url = f"https://{config.acme_domains[0]}{config.base_path}" if config.acme_domains else ""
        return msgspec.structs.replace(config, public_url=url)
    path = urlsplit(config.public_url).path
    if path and config.base_path and path != config.base_path:
        raise errors.Misconfigured(
            f"VEMETRIC_BASE_PATH is '{config.base_path}', but the path of VEMETRIC_PUBLIC_URL is '{path}': "
            "they must be the same, or one of them is left out."
        )
    base_path = path or config.base_path
    url = config.public_url.removesuffix(path) + base_path
    return msgspec.structs.replace(config, base_path=base_path, public_url=url)


def _check_together(config: Config) -> None:
    fields = {option.name: option.field for option in OPTIONS}
    for names in TOGETHER:
        if len({bool(getattr(config, fields[name])) for name in names}) > 1:
            listed = f"{', '.join(names[:-1])} and {names[-1]}"
            raise errors.Misconfigured(f"{listed} are only allowed together.")
    if config.acme_domains and config.tls_certificate is not None:
        raise errors.Misconfigured("VEMETRIC_ACME_DOMAINS and VEMETRIC_TLS_CERTIFICATE are not allowed together.")
    if config.acme_domains and not config.acme_agree:
        raise errors.Misconfigured(
            "VEMETRIC_ACME_DOMAINS needs VEMETRIC_ACME_AGREE=yes: that you agree to the terms of the service at "
            f"{config.acme_directory}."
        )
    if config.paddle_api_key and not config.paddle_webhook_secret_key:
        raise errors.Misconfigured(
            "PADDLE_API_KEY needs PADDLE_WEBHOOK_SECRET_KEY: what was bought is told by notices."
        )
    if config.smtp_host and config.postmark_server_api_token:
        raise errors.Misconfigured("SMTP_HOST and POSTMARK_SERVER_API_TOKEN are not allowed together.")
    if (config.smtp_host or config.postmark_server_api_token) and not (config.mail_from and config.public_url):
        raise errors.Misconfigured(
            "Mail needs VEMETRIC_MAIL_FROM and VEMETRIC_PUBLIC_URL: its sender, and where its links lead."
        )


def _check_database(config: Config) -> None:
    if config.database_replica_url and not config.database_url:
        raise errors.Misconfigured("VEMETRIC_DATABASE_REPLICA_URL needs DATABASE_URL: the server it is a replica of.")


def _check_clickhouse(config: Config) -> None:
    if config.clickhouse_url is not None and config.clickhouse_host is not None:
        raise errors.Misconfigured("CLICKHOUSE_URL and CLICKHOUSE_HOST are not allowed together.")
    if config.clickhouse_host is None:
        for option in OPTIONS:
            if option.name in CLICKHOUSE_PARTS and getattr(config, option.field):
                raise errors.Misconfigured(f"{option.name} is only allowed beside CLICKHOUSE_HOST.")
    if config.clickhouse_cluster and config.clickhouse is None:
        raise errors.Misconfigured("VEMETRIC_CLICKHOUSE_CLUSTER needs CLICKHOUSE_URL: one of the cluster's servers.")


def _check_roles(config: Config) -> None:
    if config.roles == ROLES:
        return
    fields = {option.name: option.field for option in OPTIONS}
    named = {name for name in SHARED_STORES if name in fields and getattr(config, fields[name])}
    if config.clickhouse is not None:
        named.add("CLICKHOUSE_URL")
    missing = [name for name in SHARED_STORES if name not in named]
    if missing:
        raise errors.Misconfigured(
            f"VEMETRIC_ROLES is '{config.roles}': roles can be split over processes only where all stores are servers; "
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set."
        )
    if not config.secret:
        raise errors.Misconfigured(
            f"VEMETRIC_ROLES is '{config.roles}': several processes need one VEMETRIC_SECRET, the same for all of them."
        )


def _parse(option: Option, text: str) -> Any:
    try:
        return option.parse(text or option.default)
    except ValueError:
        shown = "(hidden)" if option.secret else repr(text)
        raise errors.Misconfigured(f"{option.name} is {shown}: it must be {option.allowed}.") from None


def _check_names(environ: Mapping[str, str]) -> list[str]:
    known = {option.name for option in OPTIONS}
    warnings = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in known or name.startswith(IGNORED_PREFIX):
            continue
        by_stem = {option.removeprefix(PREFIX): option for option in sorted(known)}
        near = _near(name.removeprefix(PREFIX), list(by_stem))
        if near:
            raise errors.Misconfigured(f"{name} is not a setting; did you mean {by_stem[near[0]]}?")
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
