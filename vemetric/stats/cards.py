"""The rows of the cards, counted. Called by dashboard.py, the cards' fragments and the exports."""

import itertools
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from vemetric.enrich import countries
from vemetric.model.dashboard import Card, City, Row
from vemetric.stats import dimensions
from vemetric.stats.dimensions import Dimension
from vemetric.stats.predicates import without_escapes
from vemetric.stats.query import Query, Reader

CARD_ROWS = 7
CARD_PAGE_MAX = 1_000_000
# An export is read in pages of so many rows.
EXPORT_PAGE_ROWS = 50_000
SEARCH_CHARACTERS_MAX = 200
# Choices of pages: their addresses are stored with escapes, and read and typed without.
ADDRESSES = ("pages", "entryPages", "exitPages")
# The cities that a map shows.
MAP_CITIES_MAX = 60


class Choice(msgspec.Struct, frozen=True):
    """What a person looks at in a card: a key of dimensions.CARDS[card], '' for the default; pages count from 1.

    event, property: whose properties or values are counted. search: what rows must contain, in any case of letters.
    """

    dimension: str = ""
    page: int = 1
    event: str = ""
    property: str = ""
    search: str = ""


async def count_page(reader: Reader, query: Query, card: str, choice: Choice) -> Card:
    """A page of rows. A page beyond the last one is the first one: rows may have become fewer since it was linked."""
    name, dimension = dimensions.find(card, choice.dimension)
    page = min(max(choice.page, 1), CARD_PAGE_MAX)
    found = await _count(reader, query, name, choice, CARD_ROWS, (page - 1) * CARD_ROWS)
    if not found and page > 1:
        return await count_page(reader, query, card, msgspec.structs.replace(choice, page=1))
    return Card(
        dimension=name,
        rows=_rows(dimension, found),
        total_rows=found[0][4] if found else 0,
        page=page,
        measure_max=found[0][5] if found else 0,
    )


async def pages(reader: Reader, query: Query, card: str, choice: Choice) -> AsyncIterator[list[Row]]:
    """Every row of a card in its order, by pages; at least one, which may be empty."""
    name, dimension = dimensions.find(card, choice.dimension)
    for offset in itertools.count(0, EXPORT_PAGE_ROWS):
        found = await _count(reader, query, name, choice, EXPORT_PAGE_ROWS, offset)
        if found or not offset:
            yield _rows(dimension, found)
        if len(found) < EXPORT_PAGE_ROWS:
            return


async def count_map(reader: Reader, query: Query) -> Card:
    """The world by users: every country, and the cities that most came from."""
    rows = [row async for page in pages(reader, query, "locations", Choice("countries")) for row in page]
    expressions = {"users": query.conditions.users("startedAt"), "kept": query.conditions.rows("location")}
    parameters = query.parameters() | {"limit": MAP_CITIES_MAX}
    found = await reader.rows("city_points", parameters, expressions)
    users_max = max((row.users for row in rows), default=0)
    return Card(rows, len(rows), 1, users_max, "countries", [City(*row) for row in found])


async def _count(reader: Reader, query: Query, name: str, choice: Choice, limit: int, offset: int) -> list[list[Any]]:
    dimension = next(choices[name] for choices in dimensions.CARDS.values() if name in choices)
    time = "startedAt" if dimension.statement != dimensions.EVENT else "createdAt"
    expressions = dimension.expressions() | {"users": query.conditions.users(time)}
    if dimension.types:
        expressions["kept"] = query.conditions.rows(*dimension.types)
    parameters = query.parameters() | {"limit": limit, "offset": offset}
    parameters |= {need: getattr(choice, need) for need in dimension.needs}
    if choice.search:
        text, values = _search(name, dimension, choice.search[:SEARCH_CHARACTERS_MAX])
        expressions["found"], parameters = text, parameters | values
    return await reader.rows(dimension.statement, parameters, expressions)


def _search(name: str, dimension: Dimension, search: str) -> tuple[str, dict[str, Any]]:
    """Rows whose text contains the search; countries are looked up by the names that people know."""
    if name == "countries":
        wanted = search.lower()
        codes = [code for code, country in countries.names().items() if wanted in country.lower()]
        return "key IN {codes:Array(String)}", {"codes": codes + [""] * (wanted in "unknown")}
    searched, wanted = dimension.searched, search
    if name in ADDRESSES:
        searched, wanted = without_escapes(searched, search)
    return f"position(lowerUTF8({searched}), lowerUTF8({{search:String}})) > 0", {"search": wanted}


def _rows(dimension: Dimension, found: list[list[Any]]) -> list[Row]:
    return [Row(key, users, count if dimension.counts else None, detail) for key, detail, users, count, *_ in found]
