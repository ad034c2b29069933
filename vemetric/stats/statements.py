"""The statements of sql/, whole files that run as they stand. A marker such as /*key{*/ pathname /*}*/ is a place where
a table of this folder puts another expression; values are never put into the text, they are bound.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

MARKER = re.compile(r"/\*(\w+)\{\*/.*?/\*\}\*/", re.DOTALL)


def statement(name: str, expressions: Mapping[str, str] | None = None) -> str:
    """A statement, its markers replaced by the given expressions; the others keep what the file says."""
    text = _file(name)
    if not expressions:
        return text
    unknown = expressions.keys() - set(MARKER.findall(text))
    if unknown:
        raise LookupError(f"{name}.sql has no marker {', '.join(sorted(unknown))}")
    return MARKER.sub(lambda marker: expressions.get(marker[1], marker[0]), text)


def names() -> list[str]:
    """Every statement there is."""
    folder = resources.files("vemetric.stats") / "sql"
    return sorted(file.name.removesuffix(".sql") for file in folder.iterdir() if file.name.endswith(".sql"))


@lru_cache(maxsize=64)
def _file(name: str) -> str:
    return (resources.files("vemetric.stats") / "sql" / f"{name}.sql").read_text("utf-8")
