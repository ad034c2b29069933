"""The engine in the process and the one on a server answer every panel alike, to the last digit."""

import random

import pytest

from tests.stats import oracle
from tests.stats.test_oracle import MOMENTS, TIMESPANS, History, a_range
from vemetric.stats import dashboard, dimensions
from vemetric.stats.dashboard import Choice


@pytest.mark.parametrize("chosen", TIMESPANS)
async def test_both_engines_show_the_same(engine, server_engine, chosen):
    chance = random.Random(chosen)
    range_ = a_range(chance, chosen, chance.choice([*MOMENTS]))
    told = History(chance, range_)
    while not oracle.events_in(range_, told.events):
        told = History(chance, range_)
    cards = {}
    for backend in (engine, server_engine):
        await told.rows.insert(backend)
        shown = [await dashboard.load(backend, told.project, range_)]
        for card, names in dimensions.CARDS.items():
            shown += [await dashboard.load_card(backend, told.project, range_, card, Choice(name)) for name in names]
        cards[backend] = shown
    assert cards[engine] == cards[server_engine]
    assert cards[engine][0].has_data
