"""Values as ClickHouse reads them in {name:Type} parameters: escaped text. The same embedded and over HTTP."""

from collections.abc import Mapping
from typing import Any

from vemetric.model.text import well_formed

ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0", "\b": "\\b", "\f": "\\f"})


def as_texts(parameters: Mapping[str, Any] | None) -> dict[str, str]:
    """Every value as escaped text. Takes str, bool, int, float, None and lists or tuples of them, nested."""
    return {name: as_text(value) for name, value in (parameters or {}).items()}


def as_text(value: Any) -> str:
    """One value. A list is an Array, a tuple a Tuple, None is NULL; lone surrogates become U+FFFD."""
    if isinstance(value, str):
        return _escaped(value)
    if value is None:
        return "\\N"
    return _nested(value)


def _nested(value: Any) -> str:
    if isinstance(value, str):
        return "'" + _escaped(value).replace("'", "\\'") + "'"
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return "(" + ",".join(map(_nested, value)) + ")"
    if isinstance(value, list):
        return "[" + ",".join(map(_nested, value)) + "]"
    raise TypeError(f"{type(value).__name__} cannot be a parameter of a statement")


def _escaped(text: str) -> str:
    return well_formed(text).translate(ESCAPES)
