"""Refusals by what the request itself says."""

import pytest

from vemetric.ingest import refuse
from vemetric.ingest.hit import decode_event
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
