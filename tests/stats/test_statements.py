import pytest

from vemetric import errors
from vemetric.model import timespan
from vemetric.model.timespan import Timespan
from vemetric.stats import dimensions, statements
from vemetric.stats.query import Query

NOON_MS = 1_773_144_000_000
CHOSEN = {"event": "signup", "property": "plan", "search": "x", "codes": ["AT"]}
OF_A_USER = {"user": 1, "users": [1], "sessions": ["v"], "beforeAt": NOON_MS, "beforeId": ""}
AFTER = {"afterAt": 0, "afterId": ""}
CHOICES = [(card, name) for card, choices in dimensions.CARDS.items() for name in choices]


def parameters():
    range_ = timespan.resolve(Timespan(), NOON_MS, "Europe/Vienna")
    both = Query(1, range_).with_previous(timespan.previous(range_))
    return (
        both | {"limit": 7, "offset": 0, "from": both["previousStart"], "to": both["end"]} | CHOSEN | OF_A_USER | AFTER
    )


@pytest.mark.parametrize("name", statements.names())
def test_every_statement_says_its_purpose_and_runs_as_it_stands(name):
    assert statements.statement(name).startswith("-- ")


@pytest.mark.parametrize("name", statements.names())
async def test_every_statement_can_be_planned(backend, name):
    assert await backend.query(f"EXPLAIN {statements.statement(name)}", parameters())


@pytest.mark.parametrize(("card", "name"), CHOICES)
async def test_every_dimension_can_be_planned(backend, card, name):
    found, dimension = dimensions.find(card, name)
    text = statements.statement(dimension.statement, dimension.expressions())
    assert found == name
    assert dimension.key in text or dimension.statement == dimensions.EXITS
    assert await backend.query(f"EXPLAIN {text}", parameters())


def test_cards_read_only_the_range_and_project_they_ask_for():
    for name in statements.names():
        text = statements.statement(name)
        read = sum(text.count(f"FROM {table}") for table in ("event", "session", "user"))
        assert text.count("projectId = {project:UInt64}") == read


def test_the_first_choice_of_a_card_is_its_default():
    assert [dimensions.find(card)[0] for card in dimensions.CARDS] == [
        "pages",
        "referrer",
        "events",
        "countries",
        "browsers",
    ]


def test_refuses_an_unknown_card_or_dimension():
    for card, name in (("moods", ""), ("pages", "referrer"), ("clients", "ages")):
        with pytest.raises(errors.Invalid):
            dimensions.find(card, name)


def test_refuses_an_expression_without_a_marker():
    with pytest.raises(LookupError, match="part"):
        statements.statement("event_card", {"part": "city"})
