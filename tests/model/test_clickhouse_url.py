"""Where a ClickHouse server is, as people write it."""

import pytest

from vemetric.model import clickhouse_url
from vemetric.model.clickhouse_url import ClickHouseUrl


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("http://ch", ClickHouseUrl("http://ch:8123/", "default", "", "vemetric")),
        ("https://ch/", ClickHouseUrl("https://ch:8443/", "default", "", "vemetric")),
        (
            "http://u%40x:p%2Fw%3A@10.0.0.1:81/my_db",
            ClickHouseUrl("http://10.0.0.1:81/", "u@x", "p/w:", "my_db"),
        ),
        ("http://u@[::1]:81/db", ClickHouseUrl("http://[::1]:81/", "u", "", "db")),
    ],
)
def test_reads_every_part(text: str, read: ClickHouseUrl) -> None:
    assert clickhouse_url.parse(text) == read


@pytest.mark.parametrize(
    "text",
    [
        "ch:8123",
        "tcp://ch:9000",
        "http://",
        "http://ch/a/b",
        "http://ch/a-b",
        "http://ch/1st",
        "http://ch?x=1",
        "http://ch:x",
    ],
)
def test_refuses_what_is_no_address_of_a_server(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the text is what was given
        clickhouse_url.parse(text)


def test_its_text_has_no_password() -> None:
    assert str(clickhouse_url.parse("http://ann:secret@ch/db")) == "http://ch:8123/db as ann"
