"""Whose visits a project does not count: lists an admin keeps, of addresses, countries, paths and hosts.

What stands in them is written as ingest/refuse.py compares it.
"""

import ipaddress
import re
import string
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import quote

import msgspec

from vemetric import errors
from vemetric.accounts import fields, project_settings
from vemetric.clock import Clock
from vemetric.database.database import Database
from vemetric.enrich import countries
from vemetric.model.project import Project

IPS_MAX = 100
COUNTRIES_MAX = 25
PATHS_MAX = 50
HOSTS_MAX = 50
PATH_LENGTH_MAX = 500
STARS_MAX = 5

_PATH = re.compile(r"[/*][!-~]*")
_HOST_LABEL = re.compile(r"(?=.)[a-z0-9*](?:[a-z0-9*-]{0,61}[a-z0-9*])?")


class Kind(NamedTuple):
    """A list. field: of the project. rule: cleans what was typed, raises ValueError with what is wrong."""

    field: str
    rule: Callable[[str], str]
    most: int
    plural: str


def _address(text: str) -> str:
    cleaned = text.strip()
    try:
        if "/" in cleaned:
            network = ipaddress.ip_network(cleaned, strict=False)
            return network.compressed if network.num_addresses > 1 else network.network_address.compressed
        return ipaddress.ip_address(cleaned.strip("[]").partition("%")[0]).compressed
    except ValueError:
        raise ValueError("This is not an address such as 203.0.113.7, nor a network such as 203.0.113.0/24.") from None


def _country(text: str) -> str:
    if text not in countries.names():
        raise ValueError("Choose a country.")
    return text


def _path(text: str) -> str:
    cleaned = text.strip()
    if len(cleaned) > 1 and cleaned.endswith("/"):
        cleaned = cleaned[:-1]
    # Addresses of hits have escapes in the place of letters that are not ASCII.
    cleaned = quote(cleaned, safe=string.printable) if cleaned.isprintable() else ""
    if len(cleaned) > PATH_LENGTH_MAX or _PATH.fullmatch(cleaned) is None or cleaned.count("*") > STARS_MAX:
        raise ValueError("This is not a path such as /admin/* with at most five stars.")
    return cleaned


def _host(text: str) -> str:
    cleaned = text.strip().lower().rstrip(".").removeprefix("www.")
    is_host = all(_HOST_LABEL.fullmatch(label) for label in cleaned.split(".")) and cleaned.count("*") <= STARS_MAX
    if not is_host or len(cleaned) > fields.DOMAIN_LENGTH_MAX:
        raise ValueError("This is not a host such as staging.example.com or *.example.net.")
    return cleaned


KINDS = {
    "ip": Kind("excluded_ips", _address, IPS_MAX, "addresses"),
    "country": Kind("excluded_countries", _country, COUNTRIES_MAX, "countries"),
    "path": Kind("excluded_paths", _path, PATHS_MAX, "paths"),
    "host": Kind("excluded_hosts", _host, HOSTS_MAX, "hosts"),
}


async def exclude(database: Database, clock: Clock, project_id: int, kind: str, typed: str) -> Project:
    """Put something on the list of a kind (a key of KINDS). Raises Invalid when it is none, or there are too many."""
    listing = KINDS[kind]
    value = fields.clean(**{kind: (listing.rule, typed)})[kind]

    def change(project: Project) -> Project:
        listed = sorted({*getattr(project, listing.field), value})
        if len(listed) > listing.most:
            raise errors.Invalid(None, {kind: f"At most {listing.most} {listing.plural} can be excluded."})
        return msgspec.structs.replace(project, **{listing.field: tuple(listed)})

    return await project_settings.change(database, clock, project_id, change)


async def include(database: Database, clock: Clock, project_id: int, kind: str, value: str) -> Project:
    """Take something off the list; what is not on it changes nothing."""
    listing = KINDS[kind]

    def change(project: Project) -> Project:
        rest = tuple(listed for listed in getattr(project, listing.field) if listed != value)
        return msgspec.structs.replace(project, **{listing.field: rest})

    return await project_settings.change(database, clock, project_id, change)
