"""The optional limit of requests per address and minute: exact at its bound, off by default."""

from vemetric.clock import FrozenClock
from vemetric.ingest.ingest_rate import IngestRate


def test_no_limit_by_default() -> None:
    rate = IngestRate(0, FrozenClock(0))
    assert all(rate.allow("203.0.113.7") for _ in range(10_000))


def test_an_address_has_its_share_of_a_minute() -> None:
    clock = FrozenClock(59_999)
    rate = IngestRate(3, clock)
    assert [rate.allow("203.0.113.7") for _ in range(4)] == [True, True, True, False]
    assert rate.allow("203.0.113.8")
    clock.advance(1)
    assert rate.allow("203.0.113.7")


def test_addresses_past_the_bound_are_let_in_uncounted() -> None:
    rate = IngestRate(1, FrozenClock(0), addresses_max=2)
    for ip in ("a", "b"):
        assert rate.allow(ip)
        assert not rate.allow(ip)
    assert rate.allow("c")
    assert rate.allow("c")
