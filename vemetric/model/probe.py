"""Who is told of each moment at which a crash, or another process, would be awkward: nobody, but in tests."""

from collections.abc import Callable

Probe = Callable[[str], None]


def nothing(moment: str) -> None:
    """The probe of a process that nobody kills between two steps."""
