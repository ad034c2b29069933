"""Times as text and back."""

import pytest

from vemetric.clickhouse import rows


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01 00:00:00.000"),
        (1_767_225_600_123, "2026-01-01 00:00:00.123"),
        (1_709_251_199_999, "2024-02-29 23:59:59.999"),
        (-1, "1969-12-31 23:59:59.999"),
        (4_102_444_800_001, "2100-01-01 00:00:00.001"),
    ],
)
def test_milliseconds_are_text_and_back(ms: int, text: str) -> None:
    assert rows.timestamp(ms) == text
    assert rows.milliseconds(text) == ms


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-01-01 00:00:00", 1_767_225_600_000),
        ("2026-01-01 00:00:00.5", 1_767_225_600_500),
        ("2026-01-01 00:00:00.123456", 1_767_225_600_123),
    ],
)
def test_other_fractions_are_read_too(text: str, ms: int) -> None:
    assert rows.milliseconds(text) == ms
