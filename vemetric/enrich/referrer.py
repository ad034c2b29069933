"""Where a visitor came from, by name and type: from the tracker's referrer header and the page's url.

Called once per hit by workers/event.py. The names and types of known sites are ours, in data/referrers.txt.
"""

import re
from functools import cache, lru_cache
from importlib import resources
from itertools import product
from types import MappingProxyType
from typing import NamedTuple

from vemetric.enrich import page
from vemetric.model.page import NO_REFERRER, Referrer
from vemetric.model.text import well_formed

CACHED_REFERRERS_MAX = 4096
CACHED_CHARACTERS_MAX = 2048

DIRECT, UNKNOWN = "direct", "unknown"
SOURCE_PARAMETERS = ("ref", "via", "utm_source", "source")
# The link in an Instagram or Threads profile: it names the network in its own short way, and the header says it better.
LINK_IN_BIO = {"utm_source": "ig", "utm_medium": "social", "utm_content": "link_in_bio"}
# What JavaScript's trim() removes; Python's strip() also takes separators that are data there.
WHITE_SPACE = (
    "\t\n\v\f\r \xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)

_FAMILY = re.compile(r"\{([^}]*)\}")


class Site(NamedTuple):
    """A known site. type: search, email, paid, social, llm or unknown."""

    name: str
    type: str


def classify(project_domain: str, header: str | None, page_url: str | None) -> Referrer:
    """Where a hit came from. header: the tracker's v-referrer, never HTTP's Referer; page_url: the page hit."""
    return from_source(project_domain, header or "", campaign_source(page_url) if page_url else "")


def campaign_source(page_url: str) -> str:
    """What the page's url itself says about where its visitors come from; '' if nothing."""
    address = page.read(page_url)
    if address is None or not address.parameters:
        return ""
    parameters = address.parameters
    if all(parameters.get(name) == value for name, value in LINK_IN_BIO.items()):
        return ""
    return next((source for name in SOURCE_PARAMETERS if (source := parameters.get(name, "").strip(WHITE_SPACE))), "")


def from_source(project_domain: str, header: str, source: str) -> Referrer:
    """The referrer by its header ('' if none) and the source named in the page's url ('' if none).

    A source is looked up as if it were a host and beats the header's host, except when that is the project's own.
    """
    if not header and not source:
        return NO_REFERRER
    header = well_formed(header)
    if len(header) + len(source) > CACHED_CHARACTERS_MAX:
        return _from_source(project_domain, header, source)
    return _from_source_cached(project_domain, header, source)


def _from_source(project_domain: str, header: str, source: str) -> Referrer:
    domain = page.normalized_domain(header) if header else ""
    if page.belongs_to(domain, project_domain):
        return Referrer(name=source, url=header, type=DIRECT)
    key = source or domain
    site = sites().get(key)
    return Referrer(name=site.name, url=header, type=site.type) if site else Referrer(name=key, url=header)


_from_source_cached = lru_cache(CACHED_REFERRERS_MAX)(_from_source)


@cache
def sites() -> MappingProxyType[str, Site]:
    """The known sites by host."""
    text = resources.files(__package__).joinpath("data", "referrers.txt").read_text(encoding="utf-8")
    return MappingProxyType(read_sites(text))


def read_sites(text: str) -> dict[str, Site]:
    """Read a table of the form that the head of data/referrers.txt explains; of equal hosts the later one wins."""
    found: dict[str, Site] = {}
    families: dict[str, list[str]] = {}
    kind = UNKNOWN
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            kind = line.strip("[]")
        elif ": " in line:
            name, _, hosts = line.partition(": ")
            site = Site(name, kind)
            found.update((host, site) for pattern in hosts.split() for host in _expanded(pattern, families))
        else:
            name, _, words = line.partition(" = ")
            families[name] = words.split()
    return found


def _expanded(pattern: str, families: dict[str, list[str]]) -> list[str]:
    """The hosts a pattern stands for: each family in it by each of its words."""
    if "{" not in pattern:
        return [pattern]
    parts = _FAMILY.split(pattern)
    choices = [_words(part, families) if odd % 2 else [part] for odd, part in enumerate(parts)]
    return ["".join(chosen) for chosen in product(*choices)]


def _words(family: str, families: dict[str, list[str]]) -> list[str]:
    first, dash, last = family.partition("-")
    return [str(number) for number in range(int(first), int(last) + 1)] if dash else families[family]
