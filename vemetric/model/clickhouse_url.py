"""Where a ClickHouse server is and who we are to it. Read by config/values.py, used by clickhouse/server.py."""

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

DEFAULT_USER = "default"
DEFAULT_DATABASE = "vemetric"
# It stands in statements for clusters, where nothing can be bound.
DATABASE_NAME = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
DEFAULT_PORTS = {"http": 8123, "https": 8443}


class ClickHouseUrl(NamedTuple):
    """A server's HTTP address. `url` has neither credentials nor database, so it may be shown."""

    url: str
    user: str
    password: str
    database: str

    def __str__(self) -> str:
        """Without the password: this is what `vemetric config` prints."""
        return f"{self.url}{self.database} as {self.user}"


def parse(text: str) -> ClickHouseUrl:
    """http(s)://user:password@host:8123/database; all but scheme and host may be missing. Raises ValueError."""
    parts = urlsplit(text)
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.query or parts.fragment:
        raise ValueError(text)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    database = unquote(parts.path.strip("/"))
    if database and not DATABASE_NAME.fullmatch(database):
        raise ValueError(text)
    return ClickHouseUrl(
        f"{parts.scheme}://{host}:{parts.port or DEFAULT_PORTS[parts.scheme]}/",
        unquote(parts.username or DEFAULT_USER),
        unquote(parts.password or ""),
        database or DEFAULT_DATABASE,
    )
