"""Why a hit is not taken. Every refusal has a name, is counted, and is told in a header and in the live tap."""

import ipaddress
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from vemetric.enrich import page
from vemetric.ingest.hit import OUTBOUND_LINK, EventHit, custom_data_href
from vemetric.model.geo import Geo
from vemetric.model.project import Project

# Lists of excluded addresses that are kept parsed: those of the projects whose hits came last.
PARSED_LISTS_MAX = 1000
ANYTHING = "*"

TAG_MANAGER_PREVIEW = "https://gtm-msr.appspot.com"
PREFETCH_HEADERS = ("x-moz", "x-purpose", "purpose", "sec-purpose")
PREFETCH_WORDS = {
    "x-moz": ("prefetch",),
    "x-purpose": ("prefetch", "preview"),
    "purpose": ("prefetch", "preview"),
    # Sec-Purpose is a structured list: "prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip"
    "sec-purpose": ("prefetch", "prerender"),
}


class Refusal(StrEnum):
    """The reasons, as they are counted and shown."""

    BOT = "bot"
    WRONG_TOKEN = "wrong-token"  # noqa: S105 - the name of a reason
    EXCLUDED_IP = "excluded-ip"
    EXCLUDED_COUNTRY = "excluded-country"
    EXCLUDED_PATH = "excluded-path"
    EXCLUDED_HOST = "excluded-host"
    PREFETCH = "prefetch"
    TAG_MANAGER = "tag-manager-preview"
    INTERNAL_LINK = "internal-link"
    MALFORMED = "malformed"
    INVALID = "invalid"
    TOO_LARGE = "too-large"
    TOO_MANY = "too-many"
    LOCALHOST = "localhost"
    NO_SESSION = "no-session"
    NO_USER = "no-user"
    BUSY = "busy"


def is_prefetch(headers: Mapping[str, str]) -> bool:
    """Whether a browser fetched the page ahead of a visit that may never come. headers: by names in lower case."""
    for name in PREFETCH_HEADERS:
        value = headers.get(name)
        if value is None:
            continue
        value = value.strip().lower()
        if name == "sec-purpose":
            if any(word.strip() in PREFETCH_WORDS[name] for word in value.replace(",", ";").split(";")):
                return True
        elif value in PREFETCH_WORDS[name]:
            return True
    return False


def is_tag_manager_preview(hit: EventHit) -> bool:
    return isinstance(hit.url, str) and hit.url.startswith(TAG_MANAGER_PREVIEW)


def is_internal_link(hit: EventHit, project: Project) -> bool:
    """Whether an outbound link leads to the project's own domain or one below it."""
    if hit.name != OUTBOUND_LINK:
        return False
    href = custom_data_href(hit)
    return href is not None and page.belongs_to(page.normalized_domain(href), project.domain)


class Networks(NamedTuple):
    """A list of excluded addresses, parsed: each with its IP version as a number, and the first and last of each range.

    Numbers, because an address has many spellings.
    """

    addresses: frozenset[tuple[int, int]]
    ranges: tuple[tuple[int, int, int], ...]


def excluded(project: Project, ip: str, place: Geo) -> Refusal | None:
    """Whether the project does not count visits of this address or country. Asked of every hit."""
    if project.excluded_ips and _lists(project.excluded_ips, ip):
        return Refusal.EXCLUDED_IP
    if project.excluded_countries and place.country_code in project.excluded_countries:
        return Refusal.EXCLUDED_COUNTRY
    return None


def excluded_page(project: Project, hit: EventHit) -> Refusal | None:
    """Whether the project does not count visits of the hit's page. A hit that names no page is on none."""
    if not (project.excluded_paths or project.excluded_hosts) or not isinstance(hit.url, str):
        return None
    address = page.read(hit.url)
    if address is None:
        return None
    if any(matches(pattern, address.page.pathname) for pattern in project.excluded_paths):
        return Refusal.EXCLUDED_PATH
    if any(matches(pattern, address.domain) for pattern in project.excluded_hosts):
        return Refusal.EXCLUDED_HOST
    return None


def matches(pattern: str, text: str) -> bool:
    """Whether the text is what the pattern says, `*` standing for any text. Takes no longer than one look along it."""
    first, *rest = pattern.split(ANYTHING)
    if not rest:
        return text == pattern
    if not text.startswith(first):
        return False
    at, last = len(first), rest.pop()
    for part in rest:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(text) - len(last) >= at and text.endswith(last)


def _lists(listed: tuple[str, ...], ip: str) -> bool:
    address = _number(ip)
    if address is None:
        return False
    networks = _parsed(listed)
    version, number = address
    return address in networks.addresses or any(
        version == of and first <= number <= last for of, first, last in networks.ranges
    )


@lru_cache(PARSED_LISTS_MAX)
def _parsed(listed: tuple[str, ...]) -> Networks:
    networks = [ipaddress.ip_network(text) for text in listed if "/" in text]
    ranges = [(one.version, int(one.network_address), int(one.broadcast_address)) for one in networks]
    addresses = [_number(text) for text in listed if "/" not in text]
    return Networks(frozenset(filter(None, addresses)), tuple(ranges))


def _number(ip: str) -> tuple[int, int] | None:
    """An address as its version and number, an IPv4 one in IPv6 clothes as what it is; None for any other text."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return None
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (4, int(inner)) if inner is not None else (address.version, int(address))
