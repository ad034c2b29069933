"""Plain hits are read from bytes in one way, however many were read before that are nearly alike."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vemetric.ingest import jobs
from vemetric.web import hub_head
from vemetric.web.ask import Ask
from vemetric.web.hub_head import (
    FIELDS_REMEMBERED_MAX,
    HEADS_REMEMBERED_MAX,
    LINES_REMEMBERED_MAX,
    REMEMBERED_EVERY,
    SHARED_BYTES_REMEMBERED_MAX,
    HitReader,
)

BODY = b'{"name":"signed-up"}'
SHARED = [b"Host: hub.test", b"User-Agent: Firefox", b"Origin: https://example.com", b"Accept: */*"]


def request(*lines: bytes, body: bytes = BODY, path: bytes = b"/e") -> bytes:
    return b"\r\n".join([b"POST " + path + b" HTTP/1.1", *lines]) + b"\r\n\r\n" + body


def with_length(*lines: bytes, body: bytes = BODY) -> bytes:
    return request(SHARED[0], b"Content-Length: %d" % len(body), *lines, *SHARED[1:], body=body)


def used_reader() -> HitReader:
    """One that has read hits of a visitor with an address and a cookie."""
    reader = HitReader("", "192.0.2.1", "https")
    remember(reader, with_length(b"X-Forwarded-For: 198.51.100.1", b"Cookie: a=b"))
    assert [cut.name for cut in reader._cuts] == ["content-length", "x-forwarded-for", "cookie"]
    return reader


def remember(reader: HitReader, data: bytes) -> None:
    """Read a hit until its head is remembered, if it ever is."""
    for _ in range(REMEMBERED_EVERY):
        assert reader.read(data) is not None


def test_what_a_visitor_alone_says_is_read_anew_each_time() -> None:
    reader = used_reader()
    heads = len(hub_head._heads)
    ask = reader.read(with_length(b"X-Forwarded-For: 198.51.100.2", b"Cookie: c=d; e", body=BODY + b" "))
    assert ask is not None
    assert len(hub_head._heads) == heads
    assert (ask.headers["x-forwarded-for"], ask.headers["cookie"], ask.headers["content-length"]) == (
        "198.51.100.2", "c=d; e", "21",
    )  # fmt: skip
    assert (ask.method, ask.path, ask.peer, ask.scheme, ask.host, ask.body) == (
        "POST", "/e", "192.0.2.1", "https", "hub.test", BODY + b" ",
    )  # fmt: skip
    assert ask.kept_headers == {"user-agent": "Firefox"} == jobs.decode_headers(ask.packed_headers)


def test_who_has_no_cookie_is_read_where_others_have_one() -> None:
    ask = used_reader().read(with_length(b"X-Forwarded-For: 198.51.100.3"))
    assert ask is not None
    assert "cookie" not in ask.headers
    assert ask.headers["x-forwarded-for"] == "198.51.100.3"


ODD = [b"", b" ", b"a\tb", b"a\rb", b"a\nb", b"\xc3\xa9", b"\xff", b"\x00", b"\x7f", b" a", b"a ", b"+20", b"020"]


def fresh_and_used(data: bytes) -> list[Ask | None]:
    """What is read by one that has read the like, by one that has read the same, and by one that has not."""
    hub_head._heads.clear()
    hub_head._fields.clear()
    fresh = HitReader("", "192.0.2.1", "https").read(data)
    used = used_reader()
    first, *_, last = [used.read(data) for _ in range(2 * REMEMBERED_EVERY)]
    return [first, last, fresh]


@pytest.mark.parametrize("value", [b"198.51.100.1", *ODD])
@pytest.mark.parametrize("colon", [b": ", b":", b":  ", b":\t", b" : "])
def test_an_odd_line_of_a_visitors_own_is_read_as_any(value: bytes, colon: bytes) -> None:
    first, second, fresh = fresh_and_used(with_length(b"X-Forwarded-For" + colon + value, b"Cookie: a=b"))
    assert first == second == fresh


@pytest.mark.parametrize("gap", [b"\r\n", b"\r\n\r\n", b"\r\nCookie: a=b\r\n\r\n"])
@pytest.mark.parametrize("place", range(5))
def test_a_head_ends_where_its_first_empty_line_is(place: int, gap: bytes) -> None:
    """In front of a visitor's own line, behind it, or in the body."""
    lines = with_length(b"X-Forwarded-For: 198.51.100.9").split(b"\r\n")
    data = b"\r\n".join(lines[: place + 1]) + gap + b"\r\n".join(lines[place + 1 :])
    in_body = with_length(b"X-Forwarded-For: 198.51.100.9", body=b'"' + gap * 2 + b'"')
    for each in (data, in_body):
        first, second, fresh = fresh_and_used(each)
        assert first == second == fresh
    assert fresh is not None
    assert fresh.body == b'"' + gap * 2 + b'"'


def own_lines(name: bytes, *usual: bytes) -> st.SearchStrategy[list[bytes]]:
    """Mostly one line of that name, spelled and written in some way."""
    line = st.builds(
        lambda spelled, colon, value: spelled + colon + value,
        st.sampled_from([name, name, name.lower()]),
        st.sampled_from([b": ", b": ", b": ", b":", b":  ", b" : "]),
        st.one_of(st.sampled_from(usual), st.sampled_from(ODD), st.binary(max_size=3)),
    )
    return st.one_of(st.just([name + b": " + usual[0]]), st.lists(line, max_size=2))


lines_of_a_request = st.tuples(
    st.just(SHARED[:1]),
    own_lines(b"Content-Length", b"%d" % len(BODY), b"21"),
    own_lines(b"X-Forwarded-For", b"198.51.100.7"),
    own_lines(b"Cookie", b"a=b; c=d"),
    st.just(SHARED[1:]),
    st.lists(st.sampled_from([SHARED[0], b"Expect: 100-continue"]), max_size=1),
)


@settings(deadline=None, max_examples=300)
@given(lines_of_a_request.map(lambda parts: [line for part in parts for line in part]), st.booleans())
def test_reading_is_the_same_whatever_was_read_before(lines: list[bytes], is_turned: bool) -> None:
    first, second, fresh = fresh_and_used(request(*(reversed(lines) if is_turned else lines)))
    assert first == second == fresh


def test_a_head_is_remembered_up_to_a_size_and_no_more_than_so_many() -> None:
    hub_head._heads.clear()
    reader = HitReader("")
    bytes_left = SHARED_BYTES_REMEMBERED_MAX - len(b"\r\n".join([b"", *SHARED, b"X: "])) - 2
    remember(reader, with_length(b"X: " + b"x" * (bytes_left + 1)))
    assert len(hub_head._heads) == 0
    remember(reader, with_length(b"X: " + b"x" * bytes_left))
    assert len(hub_head._heads) == 1
    for number in range((HEADS_REMEMBERED_MAX + 5) * REMEMBERED_EVERY):
        assert reader.read(with_length(b"X: %d" % number)) is not None
    assert 0 < len(hub_head._heads) <= HEADS_REMEMBERED_MAX


@pytest.mark.parametrize(("more", "remembered"), [(0, 1), (1, 0)])
def test_a_head_is_remembered_up_to_so_many_lines(more: int, remembered: int) -> None:
    hub_head._heads.clear()
    lines = LINES_REMEMBERED_MAX - len(SHARED) - 1 + more
    remember(HitReader(""), with_length(*(b"X%d: 1" % number for number in range(lines))))
    assert len(hub_head._heads) == remembered


def test_heads_that_come_once_are_mostly_not_remembered() -> None:
    hub_head._heads.clear()
    reader = HitReader("")
    for number in range(10 * REMEMBERED_EVERY):
        assert reader.read(with_length(b"X: %d" % number)) is not None
    assert len(hub_head._heads) == 10


def test_the_lines_that_are_remembered_are_bounded() -> None:
    for number in range(FIELDS_REMEMBERED_MAX + 5):
        hub_head.read_field(b"X-Number: %d" % number)
    assert len(hub_head._fields) <= FIELDS_REMEMBERED_MAX
    shared = b"X-Number: %d" % number
    for number in range(FIELDS_REMEMBERED_MAX):
        hub_head.read_field(b"X-Forwarded-For: 198.51.100.%d" % number)
    assert shared in hub_head._fields


def test_a_header_of_blanks_is_looked_at_once() -> None:
    # Tried at every length these would take minutes.
    assert hub_head.read_field(b"Blanks:" + b" \t" * 200_000 + b"\x01") is None
    assert hub_head.read_field(b"Blanks:" + b" " * 200_000) == (("blanks", ""), None)


def test_none_of_a_visitors_own_headers_goes_into_the_job() -> None:
    """The job's headers are shared by all whose heads are alike."""
    assert not any(map(hub_head.kept_name, (hub_head.LENGTH, *hub_head.VISITORS_OWN_NAMES)))
