"""Country codes as people say them; used by pages, the command line and the lists one picks countries from."""

from functools import cache
from importlib import resources
from types import MappingProxyType


@cache
def names() -> MappingProxyType[str, str]:
    """English names by two-letter code, in the order of the codes."""
    lines = resources.files(__package__).joinpath("data", "countries.txt").read_text(encoding="utf-8").splitlines()
    return MappingProxyType({line[:2]: line[3:] for line in lines if not line.startswith("#")})


def name(code: str) -> str:
    """A country's English name; the code itself when it is not a known one ('' stays '')."""
    return names().get(code, code)
