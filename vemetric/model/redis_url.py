"""A Redis or Valkey named by a URL: one server, what a set of sentinels watches, or a cluster."""

from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

PORT, SENTINEL_PORT = 6379, 26379
DATABASES_MAX = 1_000
SENTINEL, CLUSTER = "-sentinel", "-cluster"
SCHEMES = {
    f"{scheme}{kind}": (scheme == "rediss", kind) for scheme in ("redis", "rediss") for kind in ("", SENTINEL, CLUSTER)
}
# What a URL may say after its question mark, as redis-py calls it; with rediss only.
TLS_OPTIONS = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
# How the sentinels themselves are asked, where they want to know who asks; the login is that of the watched server.
SENTINEL_LOGIN = {"sentinel_username": "username", "sentinel_password": "password"}
ALLOWED = (
    "redis://[user:password@]host:6379/0, rediss:// for TLS, redis-sentinel://host:26379,host:26379/name or "
    "redis-cluster://host:6379,host:6379"
)


class RedisUrl(NamedTuple):
    """A URL taken apart.

    kind: "", SENTINEL or CLUSTER. name: what the sentinels call the server. options: user, password and TLS, as
    redis-py takes them; sentinel_login: user and password for the sentinels.
    """

    kind: str
    hosts: tuple[tuple[str, int], ...]
    name: str
    database: int
    options: dict[str, Any]
    sentinel_login: dict[str, str]


def parse(url: str) -> RedisUrl:
    """Take a URL apart; ValueError when it is none of ALLOWED."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES or parts.fragment:
        raise ValueError(parts.scheme)
    is_secure, kind = SCHEMES[parts.scheme]
    login, _, places = parts.netloc.rpartition("@")
    hosts = tuple(_host(place, SENTINEL_PORT if kind == SENTINEL else PORT) for place in places.split(","))
    name, database = _path(parts.path, kind)
    if not kind and len(hosts) > 1:
        raise ValueError(places)
    user, separator, password = login.partition(":")
    options: dict[str, Any] = {"username": unquote(user) or None, "password": unquote(password) if separator else None}
    if is_secure:
        options["ssl"] = True
    asked = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    sentinel_login = {SENTINEL_LOGIN[name]: asked.pop(name) for name in SENTINEL_LOGIN if name in asked}
    if (sentinel_login and kind != SENTINEL) or not asked.keys() <= TLS_OPTIONS or (asked and not is_secure):
        raise ValueError(parts.query)
    return RedisUrl(kind, hosts, name, database, options | asked, sentinel_login)


def _host(place: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{place}")
    if not parts.hostname or parts.username is not None:
        raise ValueError(place)
    return parts.hostname, parts.port or port


def _path(path: str, kind: str) -> tuple[str, int]:
    """The name for sentinels and the number of the database; a cluster has but one."""
    words = [unquote(word) for word in path.split("/") if word]
    name = words.pop(0) if kind == SENTINEL and words else ""
    database = int(words.pop(0)) if words else 0
    if words or (kind == SENTINEL and not name) or (kind == CLUSTER and database) or not 0 <= database < DATABASES_MAX:
        raise ValueError(path)
    return name, database
