"""The kinds of values that settings have, and how each is read from text; what may not be raises ValueError."""

import re
from collections.abc import Callable
from email.utils import formataddr, parseaddr
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from vemetric.model import clickhouse_url, redis_url
from vemetric.model.clickhouse_url import ClickHouseUrl
from vemetric.model.redis_url import RedisUrl

# A host name, an IPv4 or a bracketed IPv6 address, and a port: no user, no password, nothing that needs escaping.
PUBLIC_HOST = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
BASE_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+")
BASE_PATH_CHARACTERS_MAX = 200
HOST_NAME = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
HOST_NAMES_MAX = 20
HUB, WEB, WORKER = "hub", "web", "worker"
ROLES = (HUB, WEB, WORKER)
SECRET_CHARACTERS_MIN = 32
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


def switch(on: str, off: str) -> Callable[[str], bool]:
    """One of two words, and whether it is the first."""
    parse = one_of(on, off)
    return lambda text: parse(text) == on
