"""Programs are told from people by the installed list, matched as the original matches it."""

import re
import sys
from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vemetric.enrich import bots

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


@pytest.mark.parametrize(
    "user_agent",
    [
        "",
        FIREFOX,
        "curl/8.5.0",
        "Wget/1.21.4",
        "python-requests/2.32.3",
        "Go-http-client/1.1",
        "GuzzleHttp/7",
        "vemetric-python/0.2.0",
        "vemetric-go/0.2.0",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0.0.0 Safari/537.36",
        "Mozilla/5.0 (Linux; Android 9; CUBOT_POWER) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/81.0 Mobile",
        "GOOGLEBOT/2.1",
    ],
)
def test_people_and_servers_pass(user_agent: str) -> None:
    assert not bots.is_bot(user_agent)
    assert bots.matched(user_agent) is None


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot"),
        ("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "BingBot"),
        ("360Spider-Image", "360Spider-Image"),
        ("node", "Generic Bot"),
        ("my-own-crawler/1.0", "Generic Bot"),
        ("SEBot-WA/1.0", "SEBot-WA"),
        ("Mozilla/5.0 vercel-screenshot/1.0", "Vercel Screenshot"),
        ("PhantomJsCloud.com/2.0", "PhantomJsCloud"),
        ("YisouSpider", "YisouSpider"),
    ],
)
def test_programs_are_named(user_agent: str, name: str) -> None:
    assert bots.is_bot(user_agent)
    assert bots.matched(user_agent) == name


def test_a_verified_bot_and_the_scraper_of_one_country() -> None:
    assert bots.is_bot(FIREFOX, verified_bot="true")
    assert not bots.is_bot(FIREFOX, verified_bot="TRUE")
    assert bots.is_bot(bots.SCRAPER_USER_AGENT, country="SG")
    assert not bots.is_bot(bots.SCRAPER_USER_AGENT, country="DE")
    assert not bots.is_bot(FIREFOX, country="SG")


def test_every_entry_of_the_list_is_read() -> None:
    spec = find_spec("device_detector")
    assert spec is not None
    assert spec.submodule_search_locations
    with open(f"{spec.submodule_search_locations[0]}/regexes/upstream/bots.yml", encoding="utf-8") as file:
        entries = sum(line.startswith("- regex:") for line in file)
    patterns = bots.read_patterns()
    assert len(patterns) == entries + len(bots.OWN_PATTERNS)
    assert all(pattern.regex and pattern.name for pattern in patterns)


def test_the_package_that_carries_the_list_is_not_imported() -> None:
    bots.is_bot(FIREFOX)
    assert "device_detector" not in sys.modules


@pytest.mark.parametrize(
    ("pattern", "loose"),
    [
        ("a(?!b)c", "ac"),
        (r"x(?<!cu|m[ _)])bot(?![ _]TAB|(?:5|6))y", "xboty"),
        (r"\(\?!a", r"\(\?!a"),
        ("(?:a|(?=b)c)", "(?:a|c)"),
    ],
)
def test_look_around_is_removed_whole(pattern: str, loose: str) -> None:
    assert bots.without_look_around(pattern) == loose
    re.compile(loose)


@pytest.mark.parametrize("text", ["a" * 100_000, "bo" * 50_000, "(compatible" * 9_000, "check" * 20_000])
def test_huge_user_agents_are_answered_and_not_kept(text: str) -> None:
    before = bots._match_cached.cache_info().currsize
    bots.matched(text)
    assert bots._match_cached.cache_info().currsize == before


@given(st.text(st.characters(codec=None)), st.text(st.characters(codec=None)), st.text(st.characters(codec=None)))
def test_no_text_raises(user_agent: str, country: str, verified_bot: str) -> None:
    bots.is_bot(user_agent, country, verified_bot)
