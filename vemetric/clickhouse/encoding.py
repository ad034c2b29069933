"""How rows travel to the engine and back, the same for both backends: a line of JSON per row, times as text in UTC."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from vemetric import errors
from vemetric.model.text import well_formed

Row = Sequence[Any] | msgspec.Raw

FORMAT = "JSONCompactEachRow"
RESULT_ROWS_MAX = 500_000
# The encoder keeps the interpreter to itself; between so many rows (half a millisecond) others have their turn.
ENCODED_ROWS = 100
QUOTED = str.maketrans({"\\": "\\\\", "'": "\\'"})

_encoder = msgspec.json.Encoder()

READ_SETTINGS = {
    "max_result_rows": RESULT_ROWS_MAX,
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_denormals": 0,
    "output_format_json_validate_utf8": 1,
    "session_timezone": "UTC",
    # All rows of one key lie in one month: the key holds the fixed time that the month is made of.
    "do_not_merge_across_partitions_select_final": 1,
}
INSERT_SETTINGS = {
    "async_insert": 0,
    "input_format_parallel_parsing": 0,
    "input_format_null_as_default": 1,
}


def lines(rows: Sequence[Sequence[Any]]) -> msgspec.Raw:
    """Rows laid out as they travel, which may stand among the rows of an insert. Raises as `encode_rows`.

    Made where the rows are made, it spares keeping them, and those who answer hits a thread that wants the interpreter.
    """
    return msgspec.Raw(_encode(_encoder, rows)[:-1])


def encode_rows(encoder: msgspec.json.Encoder, rows: Sequence[Row]) -> bytes:
    """Rows, or `lines` of them, in FORMAT; lone surrogates, which no UTF-8 can hold, become U+FFFD.

    Raises RowRejected for what is not JSON.
    """
    return b"".join(_encode(encoder, rows[start : start + ENCODED_ROWS]) for start in range(0, len(rows), ENCODED_ROWS))


def _encode(encoder: msgspec.json.Encoder, rows: Sequence[Row]) -> bytes:
    try:
        return encoder.encode_lines(rows)
    except UnicodeEncodeError:
        return encoder.encode_lines([_clean(row) for row in rows])
    except (TypeError, OverflowError) as error:
        raise errors.RowRejected(f"A row cannot be written as JSON: {error}") from error


def left_out_setting(conditions: Mapping[str, str]) -> str:
    """The value of the setting additional_table_filters; see Engine.leave_out."""
    pairs = (f"'{table}': '{condition.translate(QUOTED)}'" for table, condition in conditions.items())
    return "{" + ", ".join(pairs) + "}"


def _clean(row: Row) -> Row:
    if isinstance(row, msgspec.Raw):
        return row
    return [well_formed(value) if isinstance(value, str) else value for value in row]
