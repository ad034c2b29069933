"""Refusals by what the request itself says."""

import msgspec
import pytest

from vemetric.ingest import refuse
from vemetric.ingest.hit import EventHit, decode_event
from vemetric.ingest.refuse import Refusal
from vemetric.model.geo import Geo
from vemetric.model.project import Project

PROJECT = Project(1, "o", "My site", "mysite.com", "t")


@pytest.mark.parametrize(
    "headers",
    [
        {"x-moz": "prefetch"},
        {"x-purpose": "preview"},
        {"purpose": "Prefetch"},
        {"sec-purpose": "prefetch"},
        {"sec-purpose": "prefetch;prerender"},
        {"sec-purpose": "prefetch;anonymous-client-ip"},
    ],
)
def test_refuses_prefetch(headers: dict[str, str]) -> None:
    assert refuse.is_prefetch(headers)


@pytest.mark.parametrize("headers", [{}, {"purpose": "visit"}, {"x-moz": "preview"}, {"sec-purpose": "none"}])
def test_takes_a_visit(headers: dict[str, str]) -> None:
    assert not refuse.is_prefetch(headers)


@pytest.mark.parametrize(
    ("href", "internal"),
    [
        ("https://mysite.com/x", True),
        ("https://www.mysite.com", True),
        ("http://app.mysite.com/x", True),
        ("https://notmysite.com/x", False),
        ("https://mysite.com.evil.example", False),
        ("//mysite.com/x", False),
        ("/relative", False),
        ("mailto:a@mysite.com", False),
    ],
)
def test_internal_links_end_at_a_dot(href: str, internal: bool) -> None:
    hit = decode_event(
        b'{"name":"$$outboundLink","url":"https://mysite.com/","customData":{"href":"%s"}}' % href.encode()
    )
    assert refuse.is_internal_link(hit, PROJECT) is internal


def test_only_outbound_links_can_be_internal() -> None:
    hit = decode_event(b'{"name":"Clicked","customData":{"href":"https://mysite.com/"}}')
    assert not refuse.is_internal_link(hit, PROJECT)


EXCLUDING = Project(
    1,
    "acme",
    "Shop",
    "shop.test",
    "token",
    excluded_ips=("192.0.2.0/24", "198.51.100.7", "2001:db8::/32", "2A00:1450:0::5", "::ffff:203.0.113.9"),
    excluded_countries=("KP",),
    excluded_paths=("/admin/*", "/health", "*/preview/*"),
    excluded_hosts=("staging.shop.test", "*.preview.test"),
)


@pytest.mark.parametrize(
    ("ip", "country", "refusal"),
    [
        ("192.0.2.0", "", Refusal.EXCLUDED_IP),
        ("192.0.2.255", "", Refusal.EXCLUDED_IP),
        ("192.0.3.0", "", None),
        ("191.255.255.255", "", None),
        ("198.51.100.7", "KP", Refusal.EXCLUDED_IP),
        ("198.51.100.8", "KP", Refusal.EXCLUDED_COUNTRY),
        ("2001:db8:ffff::1", "", Refusal.EXCLUDED_IP),
        ("2001:db9::", "", None),
        # One address, whatever its spelling here or there.
        ("2a00:1450::5", "", Refusal.EXCLUDED_IP),
        ("2A00:1450:0:0:0:0:0:0005", "", Refusal.EXCLUDED_IP),
        ("2a00:1450::6", "", None),
        ("::ffff:198.51.100.7", "", Refusal.EXCLUDED_IP),
        ("::FFFF:c000:201", "", Refusal.EXCLUDED_IP),
        ("203.0.113.9", "", Refusal.EXCLUDED_IP),
        # The number of an IPv4 network is no IPv6 address in it.
        ("::c000:200", "", None),
        ("", "", None),
        ("not an address", "AT", None),
    ],
)
def test_excluded_addresses_and_countries(ip: str, country: str, refusal: Refusal | None) -> None:
    assert refuse.excluded(EXCLUDING, ip, Geo(country, "")) is refusal


@pytest.mark.parametrize(
    ("url", "refusal"),
    [
        ("https://shop.test/admin/users", Refusal.EXCLUDED_PATH),
        ("https://shop.test/admin/", None),
        ("https://shop.test/administration", None),
        ("https://shop.test/health", Refusal.EXCLUDED_PATH),
        ("https://shop.test/health/", Refusal.EXCLUDED_PATH),
        ("https://shop.test/healthy?x=/health", None),
        ("https://shop.test/a/preview/b", Refusal.EXCLUDED_PATH),
        ("https://staging.shop.test/", Refusal.EXCLUDED_HOST),
        ("https://www.staging.shop.test/", Refusal.EXCLUDED_HOST),
        ("https://a.preview.test/", Refusal.EXCLUDED_HOST),
        ("https://preview.test/", None),
        ("https://shop.test/", None),
    ],
)
def test_excluded_pages(url: str, refusal: Refusal | None) -> None:
    assert refuse.excluded_page(EXCLUDING, EventHit(name="Signup", url=url)) is refusal


def test_a_hit_without_a_page_is_on_no_excluded_one() -> None:
    everything = msgspec.structs.replace(EXCLUDING, excluded_paths=("*",), excluded_hosts=("*",))
    assert refuse.excluded_page(everything, EventHit(name="Signup")) is None
    assert refuse.excluded_page(everything, EventHit(name="Signup", url="https://a.test/")) is Refusal.EXCLUDED_PATH


@pytest.mark.parametrize(
    ("pattern", "text", "is_match"),
    [
        ("*", "", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*c", "axbxc", True),
        ("a*b*c", "acb", False),
        ("**", "x", True),
        ("a", "ab", False),
        ("*a", "ba", True),
        ("a*", "ba", False),
        ("ab*ba", "aba", False),
    ],
)
def test_patterns(pattern: str, text: str, is_match: bool) -> None:
    assert refuse.matches(pattern, text) is is_match


def test_a_pattern_of_many_stars_is_no_trap() -> None:
    assert not refuse.matches("*a" * 200 + "b", "a" * 200_000)
