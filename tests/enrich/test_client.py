"""Whose headers are believed, and what they say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from vemetric import errors
from vemetric.enrich import client
from vemetric.enrich.client import NOBODY, TrustedProxies

VISITOR, OTHER, PROXY, SECOND_PROXY = "203.0.113.7", "198.51.100.9", "10.0.0.1", "10.0.0.2"
EDGE = "104.16.0.1"
PRIVATE_NETWORK = TrustedProxies("10.0.0.0/8")


def test_nobody_is_trusted_by_default() -> None:
    spoofed = dict.fromkeys((*client.HEADERS_OF_EVERYTHING, "fly-client-ip", "x-forwarded-host"), OTHER)
    assert client.client_ip(VISITOR, spoofed, NOBODY) == VISITOR
    assert client.scheme_and_host(VISITOR, spoofed, NOBODY, "http", "stats.example") == ("http", "stats.example")


@pytest.mark.parametrize(
    ("forwarded", "expected"),
    [
        (VISITOR, VISITOR),
        (f"{OTHER}, {VISITOR}", VISITOR),
        (f"{OTHER}, {VISITOR}, {SECOND_PROXY}", VISITOR),
        (f" {VISITOR} ", VISITOR),
        (f"{VISITOR}:4711", VISITOR),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        (f"{VISITOR}, unknown", PROXY),
        (f"{VISITOR}, unknown, {SECOND_PROXY}", SECOND_PROXY),
        (f"{SECOND_PROXY}, 10.0.0.3", SECOND_PROXY),
        ("", PROXY),
    ],
)
def test_forwarded_for_is_read_from_the_right_past_trusted_hops(forwarded: str, expected: str) -> None:
    assert client.client_ip(PROXY, {"x-forwarded-for": forwarded}, PRIVATE_NETWORK) == expected


def test_a_repeated_header_counts_as_one_list() -> None:
    """A proxy may append its own line instead of extending the one the visitor sent."""
    headers = CIMultiDict([("X-Forwarded-For", OTHER), ("X-Forwarded-For", VISITOR)])
    assert client.client_ip(PROXY, headers, PRIVATE_NETWORK) == VISITOR


def test_an_untrusted_peer_is_the_visitor_whatever_it_says() -> None:
    assert client.client_ip(OTHER, {"x-forwarded-for": VISITOR}, PRIVATE_NETWORK) == OTHER


@pytest.mark.parametrize(
    ("preset", "peer", "header"),
    [
        ("cloudflare", EDGE, "cf-connecting-ip"),
        ("cloudflare", "2606:4700::1", "cf-connecting-ip"),
        ("fly", "172.16.3.4", "fly-client-ip"),
        ("fly", "fdaa::3", "fly-client-ip"),
        ("loopback", "127.0.0.1", "x-forwarded-for"),
        ("loopback", "::1", "x-forwarded-for"),
        ("loopback", "::ffff:127.0.0.1", "x-forwarded-for"),
    ],
)
def test_a_preset_believes_its_one_header_from_its_networks_only(preset: str, peer: str, header: str) -> None:
    trusted = TrustedProxies(preset)
    assert client.client_ip(peer, {header: VISITOR}, trusted) == VISITOR
    assert client.client_ip(OTHER, {header: VISITOR}, trusted) == OTHER
    others = {name: OTHER for name in (*client.HEADERS_OF_EVERYTHING, "fly-client-ip") if name != header}
    assert client.client_ip(peer, others, trusted) == peer
    assert client.client_ip(peer, others | {header: VISITOR}, trusted) == VISITOR
    assert client.client_ip(peer, {header: "nonsense"}, trusted) == peer


def test_an_edge_behind_a_local_proxy_is_passed_over() -> None:
    trusted = TrustedProxies("loopback, cloudflare")
    assert client.client_ip("127.0.0.1", {"x-forwarded-for": f"{OTHER}, {VISITOR}, {EDGE}"}, trusted) == VISITOR


def test_scheme_and_host_are_believed_from_trusted_proxies() -> None:
    headers = {"x-forwarded-proto": "HTTPS", "x-forwarded-host": "evil.example, stats.example:8443"}
    asked = client.scheme_and_host(PROXY, headers, PRIVATE_NETWORK, "http", "10.0.0.9:4000")
    assert asked == ("https", "stats.example:8443")
    assert client.scheme_and_host(OTHER, headers, PRIVATE_NETWORK, "http", "inside") == ("http", "inside")
    assert client.scheme_and_host(None, headers, PRIVATE_NETWORK, "http", "inside") == ("http", "inside")
    assert client.scheme_and_host(None, headers, TrustedProxies("everything"), "http", "x")[0] == "https"


def test_an_edge_that_passes_a_visitors_host_header_on_is_not_believed_for_it() -> None:
    headers = {"x-forwarded-proto": "https", "x-forwarded-host": "evil.example"}
    trusted = TrustedProxies("cloudflare")
    assert client.scheme_and_host(EDGE, headers, trusted, "http", "stats.example") == ("https", "stats.example")


@pytest.mark.parametrize(
    "host", ["", "a b", "evil.example/path", 'a"b', "a\r\nSet-Cookie: x", "-", "x:99999999", "[::g]"]
)
def test_a_host_that_is_none_is_ignored(host: str) -> None:
    asked = client.scheme_and_host(PROXY, {"x-forwarded-host": host}, PRIVATE_NETWORK, "http", "inside")
    assert asked == ("http", "inside")


@pytest.mark.parametrize(
    "setting", ["", " , ", "10.0.0.1", "10.0.0.0/8,2001:db8::/32", "Cloudflare , fly", "Everything"]
)
def test_settings_that_are_understood(setting: str) -> None:
    TrustedProxies(setting)


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("nginx", "'nginx'"),
        ("10.0.0.1/8", "'10.0.0.1/8'"),
        ("10.0.0.0/8, example.com", "'example.com'"),
        ("10.0.0.0/8; fly", "'10.0.0.0/8; fly'"),
        ("everything, fly", "'everything'"),
    ],
)
def test_a_bad_setting_is_named(setting: str, named: str) -> None:
    with pytest.raises(errors.Misconfigured) as caught:
        TrustedProxies(setting)
    assert "VEMETRIC_TRUSTED_PROXIES" in caught.value.message
    assert named in caught.value.message


ANY_TEXT = st.text(st.characters(codec=None))
SETTINGS = st.sampled_from([NOBODY, PRIVATE_NETWORK, TrustedProxies("everything"), TrustedProxies("cloudflare")])


@given(st.one_of(st.none(), ANY_TEXT, st.sampled_from([PROXY, EDGE])), ANY_TEXT, SETTINGS)
def test_no_text_raises(peer: str | None, value: str, trusted: TrustedProxies) -> None:
    headers = dict.fromkeys((*client.HEADERS_OF_EVERYTHING, "x-forwarded-proto", "x-forwarded-host"), value)
    found = client.client_ip(peer, headers, trusted)
    assert found is None or client.is_ip(found)
    client.scheme_and_host(peer, headers, trusted, "http", "inside")


@pytest.mark.parametrize(
    ("peer", "forwarded", "ip"),
    [
        ("::ffff:203.0.113.9", None, "203.0.113.9"),
        ("127.0.0.1", "::ffff:203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("127.0.0.1", "::ffff:cb00:7109", "::ffff:cb00:7109"),
    ],
)
def test_an_ipv4_address_in_ipv6_clothes_is_ipv4(peer: str, forwarded: str | None, ip: str) -> None:
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    assert client.client_ip(peer, headers, client.TrustedProxies("loopback")) == ip
