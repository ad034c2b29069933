"""Addresses as browsers read them: an event's url becomes the columns of a page.

The hub asks whether an address is one at all and whose it is; the event worker and the referrer ask for its parts.
All of them share one cache, so a hit's url is parsed once.
"""

from functools import lru_cache
from urllib.parse import parse_qsl

import ada_url
import msgspec

from vemetric.model.page import NO_PAGE, Page
from vemetric.model.text import well_formed

CACHED_ADDRESSES_MAX = 4096
# Longer addresses are rare and mostly unique; keeping them would only let a stranger fill the memory.
CACHED_CHARACTERS_MAX = 2048

_PARTS = ("origin", "pathname", "hash", "search", "hostname")


class Address(msgspec.Struct, frozen=True):
    """A parsed address. domain: host name without one leading `www.`, '' without a host.

    parameters: the query's first value of each name.
    """

    page: Page
    domain: str
    parameters: dict[str, str]


def read(url: str) -> Address | None:
    """The address's parts, or None when it is not an absolute address. Treat the result as shared."""
    return _read(url) if len(url) > CACHED_CHARACTERS_MAX else _read_cached(url)


def parse(url: str | None) -> Page:
    """The columns of an event's url; empty ones when it is absent or not an absolute address."""
    address = read(url) if url else None
    return address.page if address else NO_PAGE


def is_absolute_url(text: str) -> bool:
    """Whether the text parses as an address of its own, of any scheme (`mailto:` and `about:blank` do)."""
    return read(text) is not None


def normalized_domain(url: str) -> str:
    """The address's host name without one leading `www.`; '' when there is none."""
    address = read(url)
    return address.domain if address else ""


def belongs_to(domain: str, project_domain: str) -> bool:
    """Whether a host is the project's domain or lies below it. `notmysite.com` does not belong to `mysite.com`."""
    if not project_domain or not domain.endswith(project_domain):
        return False
    return len(domain) == len(project_domain) or domain[-len(project_domain) - 1] == "."


def _read(url: str) -> Address | None:
    try:
        parts = ada_url.parse_url(well_formed(url), _PARTS)
    except ValueError:
        return None
    pairs = parse_qsl(parts["search"][1:], keep_blank_values=True, errors="replace")
    first: dict[str, str] = {}
    for name, value in pairs:
        first.setdefault(name, value)
    page = Page(
        origin=_stored_origin(parts["origin"]),
        pathname=_stored_pathname(parts["pathname"]),
        url_hash=parts["hash"],
        query_params=msgspec.json.encode(dict(pairs)).decode(),
        utm_source=first.get("utm_source", ""),
        utm_medium=first.get("utm_medium", ""),
        utm_campaign=first.get("utm_campaign", ""),
        utm_content=first.get("utm_content", ""),
        utm_term=first.get("utm_term", ""),
    )
    return Address(page, parts["hostname"].removeprefix("www."), first)


_read_cached = lru_cache(CACHED_ADDRESSES_MAX)(_read)


def _stored_origin(origin: str) -> str:
    """One spelling for a site: http counts as https, and one leading `www.` is dropped from https."""
    if origin.startswith("http://"):
        origin = "https://" + origin[len("http://") :]
    if origin.startswith("https://www."):
        origin = "https://" + origin[len("https://www.") :]
    return origin


def _stored_pathname(pathname: str) -> str:
    return pathname[:-1] if len(pathname) > 1 and pathname.endswith("/") else pathname
