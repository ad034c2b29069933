"""The tests' own ClickHouse server, held to what a second, independent client and plain HTTP expect of one."""

import datetime
import gzip
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import clickhouse_connect
import lz4.frame
import pytest

from tests.kit.clickhouse_server import ClickHouseServer

# Clients cut rows into blocks of this size, and compress each by itself.
BLOCK_ROWS = 65_536


def client(server: ClickHouseServer, **options: Any) -> Any:
    access = {"host": "127.0.0.1", "port": server.port, "username": server.user, "password": server.password}
    return clickhouse_connect.get_client(**access | options)


@pytest.fixture
def table(clickhouse_server: ClickHouseServer) -> Iterator[str]:
    """An empty table of the server, dropped afterwards."""
    name = "front_test"
    connected = client(clickhouse_server)
    connected.command(f"CREATE TABLE {name} (n UInt64, text String, at DateTime64(3), kind LowCardinality(String)) "
                      "ENGINE = MergeTree ORDER BY n")  # fmt: skip
    yield name
    connected.command(f"DROP TABLE {name}")
    connected.close()


@pytest.fixture
async def http(clickhouse_server: ClickHouseServer) -> AsyncIterator[aiohttp.ClientSession]:
    auth = {"Authorization": aiohttp.encode_basic_auth(clickhouse_server.user, clickhouse_server.password)}
    base = f"http://127.0.0.1:{clickhouse_server.port}/"
    async with aiohttp.ClientSession(base_url=base, headers=auth, auto_decompress=False) as session:
        yield session


@pytest.mark.parametrize("compression", [False, "lz4", "zstd", "gzip"])
def test_a_second_client_reads_back_every_row_of_several_blocks(
    clickhouse_server: ClickHouseServer, table: str, compression: Any
) -> None:
    connected = client(clickhouse_server, compress=compression)
    count = 2 * BLOCK_ROWS + 17
    at = datetime.datetime(2026, 1, 1)  # noqa: DTZ001 - the column has no zone
    # Binary formats hold two line ends in a row, where the engine would cut rows that stand behind a statement.
    connected.insert(table, [(n, f"\n\n{n}", at, "k") for n in range(count)], ["n", "text", "at", "kind"])
    asked = f"SELECT count(), sum(n), uniqExact(text), any(kind) FROM {table} WHERE n >= {{least:UInt64}}"
    found = connected.query(asked, parameters={"least": 1}).result_rows
    assert found == [(count - 1, sum(range(count)), count - 1, "k")]
    connected.close()


async def test_rows_in_several_members_or_frames_are_all_read(
    http: aiohttp.ClientSession, clickhouse_server: ClickHouseServer, table: str
) -> None:
    lines = [b"".join(b'[%d,"",0,""]\n' % n for n in range(start, start + 50_000)) for start in (0, 50_000)]
    for encoding, compress in (("gzip", gzip.compress), ("lz4", lz4.frame.compress)):
        body = b"".join(map(compress, lines))
        query = {"query": f"INSERT INTO {table} FORMAT JSONCompactEachRow"}
        async with http.post("", params=query, data=body, headers={"Content-Encoding": encoding}) as answer:
            assert (answer.status, await answer.text()) == (200, "")
    connected = client(clickhouse_server)
    assert connected.query(f"SELECT count(), uniqExact(n) FROM {table}").result_rows == [(200_000, 100_000)]
    connected.close()


async def test_a_cut_body_stores_nothing(http: aiohttp.ClientSession, table: str) -> None:
    body = gzip.compress(b'[1,"",0,""]\n' * 1000)[:-20]
    query = {"query": f"INSERT INTO {table} FORMAT JSONCompactEachRow"}
    async with http.post("", params=query, data=body, headers={"Content-Encoding": "gzip"}) as answer:
        assert answer.headers["X-ClickHouse-Exception-Code"] == "354"
    async with http.post("", data=f"SELECT count() FROM {table}".encode()) as answer:
        assert await answer.text() == "0\n"


def test_a_second_client_is_told_errors_by_code_and_text(clickhouse_server: ClickHouseServer) -> None:
    connected = client(clickhouse_server)
    for sql, text in (
        ("SELECT no_such_column", "code: 47.*UNKNOWN_IDENTIFIER.*version 2"),
        ("SELECT * FROM no_such_table", "code: 60.*UNKNOWN_TABLE"),
        ("SELECT (", "code: 62.*SYNTAX_ERROR"),
    ):
        with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError, match=text):
            connected.query(sql)
    connected.close()
    with pytest.raises(clickhouse_connect.driver.exceptions.DatabaseError, match=r"code: 516.*AUTHENTICATION_FAILED"):
        client(clickhouse_server, password="wrong")


@pytest.mark.parametrize(
    ("sql", "status", "code"),
    [("SELECT nope", 404, "47"), ("SELECT (", 400, "62"), ("SELECT throwIf(1)", 500, "395"), ("", 400, "62")],
)
async def test_errors_have_the_servers_status(http: aiohttp.ClientSession, sql: str, status: int, code: str) -> None:
    async with http.post("", data=sql.encode()) as answer:
        assert (answer.status, answer.headers["X-ClickHouse-Exception-Code"]) == (status, code)
        assert (await answer.text()).startswith(f"Code: {code}. DB::Exception: ")


async def test_plain_requests_are_answered_as_by_the_server(http: aiohttp.ClientSession) -> None:
    async with http.get("ping") as answer:
        assert await answer.text() == "Ok.\n"
    async with http.get(
        "", params={"query": "SELECT {x:String}, 1", "param_x": "a\\tb", "default_format": "CSV"}
    ) as answer:
        assert await answer.text() == '"a\tb",1\n'
    async with http.post("", data=b"SELECT 1 FORMAT JSONCompactEachRow") as answer:
        assert await answer.text() == "[1]\n"
    async with http.get("", params={"query": "CREATE TABLE t (x Int8) ENGINE = Memory"}) as answer:
        assert answer.headers["X-ClickHouse-Exception-Code"] == "164"
    form = aiohttp.FormData({"query": "SELECT {x:UInt8}", "param_x": "7"})
    form._is_multipart = True
    async with http.post("", data=form) as answer:
        assert await answer.text() == "7\n"


async def test_a_setting_ends_with_its_request(http: aiohttp.ClientSession) -> None:
    asked = {"query": "SELECT getSetting('max_threads'), currentDatabase()"}
    async with http.post("", params=asked | {"max_threads": "1", "database": "system"}) as answer:
        assert await answer.text() == "1\tsystem\n"
    async with http.post("", params=asked) as answer:
        assert await answer.text() == "2\tdefault\n"
    for wrong, code in (({"no_such_setting": "1"}, "115"), ({"database": "nowhere"}, "81")):
        async with http.post("", params=asked | wrong) as answer:
            assert answer.headers["X-ClickHouse-Exception-Code"] == code


async def test_answers_are_compressed_when_asked_for(http: aiohttp.ClientSession) -> None:
    asked = {"query": "SELECT 1", "enable_http_compression": "1"}
    async with http.post("", params=asked, headers={"Accept-Encoding": "gzip"}) as answer:
        assert gzip.decompress(await answer.read()) == b"1\n"
    async with http.post("", params={"query": "SELECT 1"}, headers={"Accept-Encoding": "gzip"}) as answer:
        assert await answer.read() == b"1\n"
