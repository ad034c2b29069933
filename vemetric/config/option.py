"""A line of the table of settings."""

from collections.abc import Callable
from typing import Any, NamedTuple

from vemetric.config.values import between

PREFIX = "VEMETRIC_"


class Option(NamedTuple):
    """One line of the table. `parse` raises ValueError; `allowed` completes the sentence "it must be ..."."""

    name: str
    default: str
    parse: Callable[[str], Any]
    allowed: str
    doc: str
    secret: bool = False

    @property
    def field(self) -> str:
        return self.name.removeprefix(PREFIX).lower()


def a_number(lowest: int, highest: int, unit: str) -> str:
    return f"a whole number of {unit} from {lowest} to {highest}"


def number(name: str, default: int, lowest: int, highest: int, unit: str, doc: str) -> Option:
    return Option(name, str(default), between(lowest, highest), a_number(lowest, highest, unit), doc)
