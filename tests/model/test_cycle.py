"""Monthly cycles: where they begin, also in short months."""

from datetime import UTC, datetime

import pytest

from vemetric.model import cycle


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("made", "now", "edges"),
    [
        ("2020-05-13", "2025-01-15T12:00", ("2025-02-13", "2025-01-13", "2024-12-13", "2024-11-13")),
        ("2020-05-10", "2025-01-15T12:00", ("2025-02-10", "2025-01-10", "2024-12-10", "2024-11-10")),
        ("2020-05-20", "2025-01-15T12:00", ("2025-01-20", "2024-12-20", "2024-11-20", "2024-10-20")),
        ("2020-05-05", "2025-01-15T12:00", ("2025-02-05", "2025-01-05", "2024-12-05", "2024-11-05")),
        ("2020-05-15T23:59", "2025-01-15T00:00", ("2025-02-15", "2025-01-15", "2024-12-15", "2024-11-15")),
        ("2020-05-31", "2025-03-01", ("2025-03-31", "2025-02-28", "2025-01-31", "2024-12-31")),
        ("2020-05-29", "2024-02-29", ("2024-03-29", "2024-02-29", "2024-01-29", "2023-12-29")),
        ("2020-05-30", "2025-02-28", ("2025-03-30", "2025-02-28", "2025-01-30", "2024-12-30")),
    ],
)
def test_the_latest_cycles(made: str, now: str, edges: tuple[str, ...]) -> None:
    """D31: the 29th to 31st ran over into the next month."""
    found = cycle.latest(ms(made), ms(now))
    assert [one.end_ms for one in found] == [ms(edge) for edge in edges[:-1]]
    assert [one.start_ms for one in found] == [ms(edge) for edge in edges[1:]]
