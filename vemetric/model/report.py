"""What a process with workers tells the others of its work: kept under a key that ends with it, read for /admin."""

import msgspec

PREFIX = "work:"
REPORT_SECONDS = 10
EXPIRES_SECONDS = 35
# A rate is of so many seconds.
WINDOW_SECONDS = 60


class Rate(msgspec.Struct, frozen=True):
    """Jobs done and calls that failed, in the last minute and since the process began."""

    done: int
    failed: int
    done_ever: int
    failed_ever: int


class Report(msgspec.Struct, frozen=True):
    """The rates of one process, by queue."""

    at_ms: int
    started_ms: int
    queues: dict[str, Rate]


def total(reports: list[Report]) -> dict[str, Rate]:
    """The rates of all processes together."""
    found: dict[str, Rate] = {}
    for report in reports:
        for name, rate in report.queues.items():
            so_far = found.get(name, Rate(0, 0, 0, 0))
            found[name] = Rate(
                so_far.done + rate.done,
                so_far.failed + rate.failed,
                so_far.done_ever + rate.done_ever,
                so_far.failed_ever + rate.failed_ever,
            )
    return found
