"""What every engine must do, whichever backend it is."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from vemetric import errors
from vemetric.clickhouse import rows
from vemetric.clickhouse.engine import Engine
from vemetric.clickhouse.sink import Sink

AWKWARD_TEXTS = [
    "",
    "it's",
    'say "x"',
    "back\\slash",
    "\\N",
    "line\nbreak",
    "\n\n",
    "\r\n\t\b\f\v",
    "nul\0inside",
    "; DROP TABLE event; --",
    "{name:String}",
    "Zürich 東京 😀",
    "\u2028\x7f\x01",
    "[1,2]",
    "'",
    "NULL",
]


@pytest.mark.parametrize("text", AWKWARD_TEXTS)
async def test_binds_text_as_it_is(store: Engine, text: str) -> None:
    values = {"one": text, "many": [text, "x"], "pairs": [(1, text)], "perhaps": text}
    sql = """
        SELECT {one:String}, {many:Array(String)}, {pairs:Array(Tuple(UInt64, String))}, {perhaps:Nullable(String)}
    """
    assert await store.query(sql, values) == [[text, [text, "x"], [[1, text]], text]]


async def test_binds_lone_surrogates_as_replacement_characters(store: Engine) -> None:
    found = await store.query(
        "SELECT {one:String}, {many:Array(String)}", {"one": "a\ud800b", "many": ["\udc00", "\ud83d\ude00"]}
    )
    assert found == [["a�b", ["�", "😀"]]]


async def test_binds_numbers_times_and_null(store: Engine) -> None:
    sql = """SELECT {big:UInt64}, {low:Int64}, {half:Float64}, {yes:Bool}, {none:Nullable(String)},
        {at:DateTime64(3, 'UTC')}, {day:Date}, {some:Array(Nullable(UInt8))}"""
    at = "2026-01-01 00:00:00.123"
    values = {
        "big": 2**64 - 1,
        "low": -(2**63),
        "half": 0.5,
        "yes": True,
        "none": None,
        "at": at,
        "day": at[:10],
        "some": [1, None],
    }
    assert await store.query(sql, values) == [[2**64 - 1, -(2**63), 0.5, True, None, at, "2026-01-01", [1, None]]]


async def test_refuses_a_parameter_it_cannot_bind(store: Engine) -> None:
    with pytest.raises(TypeError, match="dict"):
        await store.query("SELECT {x:String}", {"x": {}})


async def test_reads_what_is_not_a_number_as_none(store: Engine) -> None:
    assert await store.query("SELECT nan, inf, -inf, 0 / 0, 1.5") == [[None, None, None, None, 1.5]]


async def test_reads_broken_text_as_replacement_characters(store: Engine) -> None:
    assert await store.query("SELECT substring('ü', 1, 1)") == [["�"]]


async def test_reads_no_rows(store: Engine) -> None:
    assert await store.query("SELECT 1 WHERE 0") == []


async def test_reads_times_in_utc_whatever_the_machine_says(store: Engine) -> None:
    assert await store.query("SELECT toDateTime(0), toDateTime64(0, 3)") == [
        ["1970-01-01 00:00:00", "1970-01-01 00:00:00.000"]
    ]


async def test_inserts_and_reads_every_column(
    store: Engine, project_id: int, an_event: Callable[..., tuple[Any, ...]]
) -> None:
    row = an_event(city="Wien\n\n\0'\"\\", countryCode="AT", userId=2**64 - 1, latitude=48.25, longitude=None)
    await store.insert("event", rows.EVENT_COLUMNS, [row])
    sql = f"SELECT {', '.join(rows.EVENT_COLUMNS)} FROM event WHERE projectId = {{project:UInt64}}"
    assert await store.query(sql, {"project": project_id}) == [list(row)]


async def test_inserts_lone_surrogates_as_replacement_characters(
    store: Engine, project_id: int, an_event: Callable[..., tuple[Any, ...]]
) -> None:
    await store.insert("event", rows.EVENT_COLUMNS, [an_event(city="a\ud800", name="\ud83d\ude00")])
    found = await store.query("SELECT city, name FROM event WHERE projectId = {p:UInt64}", {"p": project_id})
    assert found == [["a�", "😀"]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"createdAt": "soon"},
        {"createdAt": "9999-99-99 00:00:00.000"},
        {"userId": "somebody"},
        {"userId": -1},
        {"sign": 3},
        {"countryCode": "AUT"},
        {"latitude": "north"},
        {"city": object()},
    ],
)
async def test_rejects_a_wrong_row_and_stores_none_of_the_batch(
    store: Engine, project_id: int, an_event: Callable[..., tuple[Any, ...]], wrong: dict[str, Any]
) -> None:
    with pytest.raises(errors.RowRejected):
        await store.insert("event", rows.EVENT_COLUMNS, [an_event(id="good"), an_event(id="bad", **wrong)])
    assert await store.query("SELECT id FROM event WHERE projectId = {p:UInt64}", {"p": project_id}) == []


async def test_inserting_nothing_is_fine(store: Engine) -> None:
    await store.insert("event", rows.EVENT_COLUMNS, [])


async def test_a_wrong_statement_is_an_error_of_the_store(store: Engine) -> None:
    with pytest.raises(errors.StoreError) as caught:
        await store.query("SELECT no_such_column FROM event")
    assert not isinstance(caught.value, errors.StoreBusy | errors.RowRejected)
    with pytest.raises(errors.StoreError):
        await store.command("CREATE TABLE event (x String) ENGINE = Memory")


async def test_a_parameter_of_the_wrong_type_is_an_error_of_the_store(store: Engine) -> None:
    with pytest.raises(errors.StoreError):
        await store.query("SELECT {x:UInt64}", {"x": "1 OR 1"})


async def test_too_much_memory_is_busy_and_leaves_the_engine_working(store: Engine) -> None:
    with pytest.raises(errors.StoreBusy):
        await store.query("SELECT length(groupArray(number)) FROM numbers(10000000000)")
    assert await store.query("SELECT 1") == [[1]]


async def test_too_long_is_busy(store: Engine) -> None:
    with pytest.raises(errors.StoreBusy):
        await store.query(
            "SELECT count() FROM numbers(1000000000000) WHERE sin(number) > 2 SETTINGS max_execution_time = 0.2"
        )


@pytest.fixture
async def heavy_queries(store: Engine, project_id: int) -> AsyncIterator[list["asyncio.Task[list[list[Any]]]"]]:
    """As many endless queries as may run at once; killed after the test, which must find them still running."""
    name = f"endless-{project_id}"
    endless = f"SELECT count() FROM numbers(1000000000000) WHERE sin(number) > 2 SETTINGS log_comment = '{name}'"
    reads = [asyncio.create_task(store.query(endless)) for _ in range(2)]
    await asyncio.sleep(0)
    yield reads
    while not all(read.done() for read in reads):
        await store.command("KILL QUERY WHERE Settings['log_comment'] = {name:String} SYNC", {"name": name})
    results = await asyncio.gather(*reads, return_exceptions=True)
    assert all(isinstance(result, errors.StoreBusy) for result in results)


async def test_inserts_run_beside_as_many_heavy_queries_as_may_run(
    store: Engine,
    heavy_queries: list["asyncio.Task[list[list[Any]]]"],
    an_event: Callable[..., tuple[Any, ...]],
) -> None:
    await store.insert("event", rows.EVENT_COLUMNS, [an_event()])
    assert not any(read.done() for read in heavy_queries)


async def test_workers_look_things_up_beside_as_many_heavy_queries_as_may_run(
    store: Engine,
    heavy_queries: list["asyncio.Task[list[list[Any]]]"],
    an_event: Callable[..., tuple[Any, ...]],
) -> None:
    sink = Sink(store)
    row = an_event()
    await sink.insert_events([row])
    assert len(await sink.existing_event_ids([row])) == 1
    assert await store.lookup("SELECT {n:UInt64}", {"n": 7}) == [[7]]
    assert not any(read.done() for read in heavy_queries)


async def test_many_queries_at_once_all_answer(store: Engine) -> None:
    answers = await asyncio.gather(*(store.query("SELECT {n:UInt64}", {"n": n}) for n in range(100)))
    assert answers == [[[n]] for n in range(100)]


async def test_more_queries_than_may_wait_are_turned_away(store: Engine) -> None:
    answers = await asyncio.gather(*(store.query("SELECT 1") for _ in range(400)), return_exceptions=True)
    turned_away = [answer for answer in answers if isinstance(answer, errors.StoreBusy)]
    assert turned_away
    assert len(turned_away) + answers.count([[1]]) == 400
    assert await store.query("SELECT 1") == [[1]]


async def test_a_cancelled_query_gives_its_connection_back(store: Engine) -> None:
    for _ in range(8):
        task = asyncio.create_task(store.query("SELECT sum(sleepEachRow(0.05)) FROM numbers(4)"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await store.query("SELECT 1") == [[1]]


async def test_numbers_keep_their_precision(store: Engine) -> None:
    assert await store.query("SELECT {x:Float64}", {"x": math.pi}) == [[math.pi]]


async def test_queries_leave_rows_out_and_lookups_do_not(
    store: Engine, project_id: int, an_event: Callable[..., tuple[Any, ...]]
) -> None:
    await store.insert("event", rows.EVENT_COLUMNS, [an_event(id="shown", city="it's"), an_event(id="hidden")])
    sql = "SELECT e.id FROM event AS e FINAL WHERE projectId = {p:UInt64} ORDER BY id SETTINGS max_block_size = 100"
    values = {"p": project_id}
    try:
        # It may ask other tables, and is asked anew each time.
        store.leave_out(
            {"event": "city = 'it\\'s' OR projectId NOT IN (SELECT projectId FROM device) AND id != 'hidden'"}
        )
        assert await store.query(sql, values) == [["shown"]]
        assert await store.query(f"SELECT count() FROM ({sql.partition('SETTINGS')[0]})", values) == [[1]]
        assert await store.lookup(sql, values) == [["hidden"], ["shown"]]
    finally:
        store.leave_out({})
    assert await store.query(sql, values) == [["hidden"], ["shown"]]
