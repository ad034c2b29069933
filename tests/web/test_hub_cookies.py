"""Which domain the visitor's cookie gets: never one that the request's host is not in, never anything but a host."""

import pytest

from vemetric.web.hub_cookies import cookie_domain


@pytest.mark.parametrize(
    ("v_host", "request_host", "domain"),
    [
        # Equal to the host, or a domain that holds it.
        ("stats.shop.example", "stats.shop.example", "stats.shop.example"),
        ("shop.example", "stats.shop.example", "shop.example"),
        ("Shop.Example", "STATS.shop.example", "shop.example"),
        # Ports say nothing about whose cookie it is: neither is compared, none gets into the cookie.
        ("shop.example:8443", "shop.example:8443", "shop.example"),
        ("shop.example:8443", "shop.example", "shop.example"),
        ("shop.example", "shop.example:4000", "shop.example"),
        ("shop.example:1", "shop.example:2", "shop.example"),
        # Below or beside the host, or alike in letters only.
        ("stats.shop.example", "shop.example", None),
        ("blog.shop.example", "stats.shop.example", None),
        ("other.example", "shop.example", None),
        ("hop.example", "shop.example", None),
        # No plain host name with a dot.
        (None, "shop.example", None),
        ("", "shop.example", None),
        ("example", "shop.example", None),
        ("localhost", "localhost", None),
        ("192.0.2.1", "192.0.2.1", None),
        ("[2001:db8::1]", "[2001:db8::1]:4000", None),
        (".shop.example", "shop.example", None),
        ("shop.example.", "shop.example", None),
        ("shop.example:", "shop.example", None),
        ("shop.example:80:80", "shop.example", None),
        ("https://shop.example", "shop.example", None),
        ("shop.example; Path=/admin", "shop.example", None),
        ("shop.example\r\nX: y", "shop.example", None),
        ("shop.example\n", "shop.example", None),
        (" shop.example", "shop.example", None),
        ("bücher.example", "bücher.example", None),
        ("a" * 64 + ".example", "a" * 64 + ".example", None),
    ],
)
def test_a_cookie_gets_the_domain_of_v_host_only_where_it_holds_the_host(
    v_host: str | None, request_host: str, domain: str | None
) -> None:
    assert cookie_domain(v_host, request_host) == domain
