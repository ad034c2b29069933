"""Lines of a CSV file, harmless to the spreadsheet that opens it. Written by the pages' exports and by the API's."""

import csv
import io
from collections.abc import Iterable, Sequence

import msgspec

# Tables take a cell that begins with one of these for a formula and would run it: also behind white space, and wide.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def written(lines: Iterable[Sequence[object]]) -> bytes:
    """The lines. Text that would be a formula is quoted; what has parts is JSON; none is an empty cell."""
    out = io.StringIO()
    csv.writer(out).writerows([_harmless(cell) for cell in line] for line in lines)
    return out.getvalue().encode("utf-8", "replace")


def _harmless(cell: object) -> object:
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, dict):
        cell = msgspec.json.encode(cell).decode()
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULAS) else cell
