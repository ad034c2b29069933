"""The engine's errors: what is tried again, what a row is to blame for, and what the statement."""

import pytest

from vemetric import errors
from vemetric.clickhouse import failures

DISK_FULL = (
    "Code: 1001. DB::Exception: std::exception. Code: 1001, type: std::__1::__fs::filesystem::filesystem_error, "
    "e.what() = filesystem error: in create_directories: No space left on device"
)


@pytest.mark.parametrize(
    "text",
    [
        DISK_FULL,
        "Code: 243. DB::Exception: Cannot reserve 1.00 MiB, not enough space. (NOT_ENOUGH_SPACE)",
        "Code: 75. DB::Exception: Cannot write to file (fd = 9): errno: 28 (CANNOT_WRITE_TO_FILE_DESCRIPTOR)",
        "Code: 241. DB::Exception: Memory limit (total) exceeded (MEMORY_LIMIT_EXCEEDED)",
        "Code: 159. DB::Exception: Timeout exceeded: elapsed 20 seconds (TIMEOUT_EXCEEDED)",
    ],
)
def test_no_row_is_to_blame_for_the_machine(text: str) -> None:
    assert type(failures.from_text(text, inserting=True)) is errors.StoreBusy
    assert type(failures.from_text(text, inserting=False)) is errors.StoreBusy


def test_a_row_is_to_blame_only_where_there_are_rows() -> None:
    text = "Code: 72. DB::Exception: Unsigned type must not contain '-' symbol (CANNOT_PARSE_NUMBER)"
    assert type(failures.from_text(text, inserting=True)) is errors.RowRejected
    assert type(failures.from_text(text, inserting=False)) is errors.StoreError


def test_the_rejected_rows_values_are_not_told() -> None:
    text = "Code: 72. DB::Exception: Cannot parse: (at row 1)\n: \nRow 1:\nColumn 3, parsed text: ann@example.com"
    assert failures.from_text(text, inserting=True).message == "Code: 72. DB::Exception: Cannot parse: (at row 1)"


@pytest.mark.parametrize("text", ["Code: 62. DB::Exception: Syntax error (SYNTAX_ERROR)", "something else", ""])
def test_anything_else_is_the_statements_fault(text: str) -> None:
    assert type(failures.from_text(text, inserting=True)) is errors.StoreError


def test_no_code_is_of_two_kinds() -> None:
    assert not failures.BUSY & failures.REJECTED
