"""A visitor gets one name, or is given away: noted for every process, and for as long as it matters."""

import pytest

from tests.kit import visits
from vemetric.clock import FrozenClock
from vemetric.database.user_merges import UserMerge
from vemetric.ingest import spoken_for
from vemetric.ingest.spoken_for import SpokenFor, Standing
from vemetric.services import Services

VISITOR, USER = 7, 8


def process(services: Services, *, exclusive: bool) -> SpokenFor:
    return SpokenFor(services.database, services.keys, services.clock, exclusive=exclusive)


async def test_a_visitor_gets_one_name_though_a_turn_ended_too_early(
    services_at_noon: Services, clock: FrozenClock
) -> None:
    shop = (await visits.a_project(services_at_noon)).id
    first, second = [process(services_at_noon, exclusive=False) for _ in range(2)]
    assert await first.may_name(shop, VISITOR, "ann")
    # Its turn is over and it goes on all the same.
    assert not await second.may_name(shop, VISITOR, "bob")
    assert not await second.may_give(shop, VISITOR, "bob")
    for may in (second.may_name, second.may_give):
        assert await may(shop, VISITOR, "ann")
        assert await may(shop, USER, "bob")
    clock.advance(spoken_for.NAMING_MS)
    assert await second.may_name(shop, VISITOR, "bob")


@pytest.mark.parametrize("exclusive", [True, False])
async def test_who_was_given_away_gets_no_name_any_more(
    services_at_noon: Services, clock: FrozenClock, exclusive: bool
) -> None:
    services = services_at_noon
    shop = (await visits.a_project(services)).id
    process_ = process(services, exclusive=exclusive)
    assert await process_.standing(shop, VISITOR, "ann") is Standing.FREE
    assert await process_.may_give(shop, VISITOR, "ann")
    await services.keys.set([process_.given(shop, VISITOR)])
    for _ in ("noted", "recorded", "long ago"):
        assert await process_.standing(shop, VISITOR, "ann") is Standing.GIVEN
        assert await process_.is_anybody(shop, VISITOR)
        assert await process_.may_give(shop, VISITOR, "bob")
        await services.merged.record([UserMerge(clock.now_ms(), VISITOR, USER, shop)])
        await services.keys.set(spoken_for.recorded([(shop, VISITOR)]))
        clock.advance(spoken_for.GIVEN_MS)
    assert not await process_.is_anybody(shop, USER)
