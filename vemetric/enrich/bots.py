"""Which clients are programs: the hub drops their hits before anything else is looked at.

The list is the one the installed device-detector package carries, read as a file, unmodified; the package's own code is
never imported. It is matched case-sensitively and anywhere in the user agent. An engine that knows all patterns at once
looks first; the few patterns that look around themselves, which it cannot do, are tried loosely there and judged
exactly by `re` only when the loose form was found.
"""

import re
from functools import cache, lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from ua_parser_rs import UserAgentExtractor

from vemetric.model.text import well_formed

LIST_PACKAGE = "device_detector"
LIST_FILE = Path("regexes", "upstream", "bots.yml")
CACHED_USER_AGENTS_MAX = 8192
# Longer user agents are matched as well, but not kept.
CACHED_CHARACTERS_MAX = 1024

OWN_PATTERNS = (
    ("SEBot-WA", "SEBot-WA"),
    ("vercel-screenshot", "Vercel Screenshot"),
    (r"PhantomJsCloud\.com", "PhantomJsCloud"),
    ("YisouSpider", "YisouSpider"),
)
# A scraper that sends this very text from one country; elsewhere it may be a person.
SCRAPER_COUNTRY = "SG"
SCRAPER_USER_AGENT = (
    "Mozilla/5.0 (Windows NT 6.1; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.6478.114 Safari/537.36"
)

_ENTRY = re.compile(r"^- regex: (?P<regex>'(?:[^']|'')*'|\"[^\"\\]*\")\n\s+name: (?P<name>.+)$", re.MULTILINE)
_LOOK_AROUND = re.compile(r"\(\?<?[=!]")
# At the start of an unanchored pattern "any number of these" decides nothing but costs a scan per position.
_IDLE_START = re.compile(r"\[[^\]\\]*\]\*")


class Pattern(NamedTuple):
    """One entry of the list: its regular expression and the program's name."""

    regex: str
    name: str


class _Matcher(NamedTuple):
    """An engine finds the first of its patterns; the family it reports is that pattern's place in `patterns`."""

    patterns: tuple[Pattern, ...]
    plain: UserAgentExtractor
    loose: UserAgentExtractor
    exact: tuple[tuple[int, re.Pattern[str]], ...]


def is_bot(user_agent: str, country: str = "", verified_bot: str | None = None) -> bool:
    """Whether a hit is a program's. country: its place, '' if unknown; verified_bot: the header cf-verified-bot."""
    if verified_bot == "true" or (country == SCRAPER_COUNTRY and user_agent == SCRAPER_USER_AGENT):
        return True
    return matched(user_agent) is not None


def matched(user_agent: str) -> str | None:
    """The name of the list's program that this user agent belongs to, None for what may be a person or a server."""
    if len(user_agent) > CACHED_CHARACTERS_MAX:
        return _match(well_formed(user_agent))
    return _match_cached(user_agent)


def _match(user_agent: str) -> str | None:
    matcher = _matcher()
    found = matcher.plain.extract(user_agent)
    if found is not None:
        return _name(matcher.patterns[int(found.family)], user_agent)
    if matcher.loose.extract(user_agent) is not None:
        for place, regex in matcher.exact:
            if regex.search(user_agent):
                return matcher.patterns[place].name
    return None


def _name(pattern: Pattern, user_agent: str) -> str:
    """The pattern's name; some take a part of the user agent."""
    if "\\g<" not in pattern.name:
        return pattern.name
    match = re.search(pattern.regex, user_agent)
    return match.expand(pattern.name) if match else ""


@lru_cache(CACHED_USER_AGENTS_MAX)
def _match_cached(user_agent: str) -> str | None:
    return _match(well_formed(user_agent))


def read_patterns() -> tuple[Pattern, ...]:
    """The package's list in its order, then our own entries."""
    spec = find_spec(LIST_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(f"the package {LIST_PACKAGE}, which carries the list of bots, is not installed")
    text = Path(spec.submodule_search_locations[0], LIST_FILE).read_text(encoding="utf-8")
    read = (Pattern(_unquoted(entry["regex"]), _unquoted(entry["name"])) for entry in _ENTRY.finditer(text))
    return (*read, *(Pattern(*own) for own in OWN_PATTERNS))


@cache
def _matcher() -> _Matcher:
    patterns = read_patterns()
    places = range(len(patterns))
    looking = [place for place in places if _LOOK_AROUND.search(patterns[place].regex)]
    plain = [(str(place), patterns[place].regex) for place in places if place not in looking]
    loose = [(str(place), without_look_around(patterns[place].regex)) for place in looking]
    exact = tuple((place, re.compile(_for_stdlib(patterns[place].regex))) for place in looking)
    return _Matcher(patterns, _engine(plain), _engine(loose), exact)


def _engine(named: list[tuple[str, str]]) -> UserAgentExtractor:
    return UserAgentExtractor((regex, name, None, None, None, None) for name, regex in named)


def without_look_around(regex: str) -> str:
    """The pattern without its look-ahead and look-behind groups: it finds what the whole one finds, and more."""
    while (start := _LOOK_AROUND.search(regex)) is not None:
        regex = regex[: start.start()] + regex[_group_end(regex, start.start()) :]
    return regex


def _for_stdlib(regex: str) -> str:
    """The same matches in the dialect of `re`: a look-behind of several widths becomes several look-behinds."""
    idle = _IDLE_START.match(regex)
    rest, written = regex[idle.end() :] if idle else regex, ""
    while (start := rest.find("(?<!")) >= 0:
        end = _group_end(rest, start)
        written += rest[:start] + "".join(f"(?<!{one})" for one in rest[start + 4 : end - 1].split("|"))
        rest = rest[end:]
    return written + rest


def _group_end(regex: str, start: int) -> int:
    """Where the group that opens at `start` is closed, exclusive."""
    depth, place, in_class = 0, start, False
    while True:
        character = regex[place]
        if character == "\\":
            place += 1
        elif in_class:
            in_class = character != "]"
        elif character == "[":
            in_class = True
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                return place + 1
        place += 1


def _unquoted(scalar: str) -> str:
    scalar = scalar.strip()
    if scalar.startswith("'"):
        return scalar[1:-1].replace("''", "'")
    return scalar[1:-1] if scalar.startswith('"') else scalar
