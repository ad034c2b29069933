"""Rows laid out where they are made travel as those that are laid out later, byte for byte."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vemetric import errors
from vemetric.clickhouse import encoding, rows

ENCODER = msgspec.json.Encoder()

# Lone surrogates among them, line ends, and what JSON escapes.
texts = st.text(st.characters() | st.sampled_from('\ud800\udfff\n\r\x00\u2028"\\\\'), max_size=30)
values = (
    st.none() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts
    | st.lists(texts.filter(lambda text: text.isascii()), max_size=3)
    | st.sampled_from([rows.piece(["a", None, 1]), "x" * 300_000])
)  # fmt: skip
tables = st.lists(st.lists(values, min_size=1, max_size=5).map(tuple), max_size=250)


@given(tables, st.integers(1, 220), st.integers(0, 250))
def test_the_same_bytes_travel(table: list[tuple[Any, ...]], size: int, from_row: int) -> None:
    """By the piece up to a row, one by one from there on."""
    pieces = [encoding.lines(table[start : start + size]) for start in range(0, min(from_row, len(table)), size)]
    rest = table[len(pieces) * size :]
    assert encoding.encode_rows(ENCODER, [*pieces, *rest]) == encoding.encode_rows(ENCODER, table)


def test_a_lone_surrogate_beside_rows_that_are_laid_out_becomes_a_replacement_character() -> None:
    mixed = [encoding.lines([("a",), ("\ud800",)]), ("b\udc00",)]
    assert encoding.encode_rows(ENCODER, mixed).decode() == '["a"]\n["\ufffd"]\n["b\ufffd"]\n'


@pytest.mark.parametrize("wrong", [object(), {object(): 1}])
def test_what_is_not_json_is_refused_where_it_is_made(wrong: object) -> None:
    with pytest.raises(errors.RowRejected):
        encoding.lines([("good",), (wrong,)])
