"""Funnels as they are kept."""

import msgspec
import sqlalchemy

from tests.database.conftest import NOW_MS, Cast
from vemetric.database import funnels
from vemetric.database.database import Database
from vemetric.database.tables import funnel as table
from vemetric.model.filters import EventFilter, PageFilter, Property, Text
from vemetric.model.funnel import DEFAULT_WINDOW_SECONDS, Funnel, Step

STEPS = (
    Step("a", "Prices", PageFilter(Text("contains", "/pricing"))),
    Step("b", "", EventFilter(Text(value="Signup"), (Property("seats", "gte", "5"),))),
)
ONE = Funnel("one", "Trial", STEPS, "🚀", 60, NOW_MS, NOW_MS)
TWO = Funnel("two", "Other", STEPS[:1], created_at_ms=NOW_MS - 1, updated_at_ms=NOW_MS - 1)


async def test_funnels_come_back_as_they_were_the_oldest_first(database: Database, cast: Cast) -> None:
    async with database.begin() as connection:
        for one in (ONE, TWO):
            await funnels.create(connection, cast.shop.id, one)
        assert await funnels.of_project(connection, cast.shop.id) == [TWO, ONE]
        assert await funnels.count(connection, cast.shop.id) == 2
        assert await funnels.by_id(connection, cast.shop.id, "one") == ONE
        assert await funnels.by_id(connection, cast.blog.id, "one") is None
    assert TWO.window_seconds == DEFAULT_WINDOW_SECONDS
    assert [ONE.step_name(number) for number in range(2)] == ["Prices", "Step 2"]


async def test_only_the_project_of_a_funnel_changes_and_deletes_it(database: Database, cast: Cast) -> None:
    changed = Funnel("one", "Longer", STEPS[:1], None, 90, 0, NOW_MS + 5)
    async with database.begin() as connection:
        await funnels.create(connection, cast.shop.id, ONE)
        assert not await funnels.change(connection, cast.blog.id, changed)
        assert not await funnels.delete(connection, cast.blog.id, "one")
        assert await funnels.change(connection, cast.shop.id, changed)
        kept = await funnels.by_id(connection, cast.shop.id, "one")
        assert kept == msgspec.structs.replace(changed, created_at_ms=NOW_MS)
        assert await funnels.delete(connection, cast.shop.id, "one")
        assert not await funnels.delete(connection, cast.shop.id, "one")


async def test_a_funnel_that_cannot_be_read_is_none(database: Database, cast: Cast) -> None:
    async with database.begin() as connection:
        await funnels.create(connection, cast.shop.id, ONE)
        await connection.change(
            sqlalchemy.update(table).values(steps=[{"id": "a", "name": "", "filter": {"type": "x"}}])
        )
        assert await funnels.of_project(connection, cast.shop.id) == []
        assert await funnels.by_id(connection, cast.shop.id, "one") is None
