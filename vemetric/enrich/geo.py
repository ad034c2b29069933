"""Where an address lies, from a database in MMDB form: the country database inside, or a city database by setting.

Opened once by services; asked by the hub for every hit that does not come from a server's SDK.
"""

import math
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

import maxminddb

import vemetric
from vemetric.model.geo import UNKNOWN, Geo

CACHED_ADDRESSES_MAX = 32_768
DEFAULT_DATABASE = Path(vemetric.__file__).parent / "static" / "dist" / "geo" / "dbip-country.mmdb"


class State(StrEnum):
    """Whether there is a database to ask."""

    READY = "ready"
    MISSING = "missing"
    UNREADABLE = "unreadable"


class Places:
    """An opened database. Without a readable file every place is unknown, and `state` and `detail` say why."""

    def __init__(self, reader: maxminddb.Reader | None, state: State, detail: str) -> None:
        self._reader = reader
        self.state = state
        self.detail = detail
        self.look_up = lru_cache(CACHED_ADDRESSES_MAX)(self._look_up)

    @classmethod
    def open(cls, path: Path = DEFAULT_DATABASE) -> Self:
        """Open a database. It is mapped into memory, not read; a missing or broken file is a state, not an error."""
        try:
            reader = maxminddb.open_database(path)
        except FileNotFoundError:
            return cls(None, State.MISSING, f"there is no file {path}")
        except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
            return cls(None, State.UNREADABLE, f"{path} cannot be read as an MMDB file: {error}")
        return cls(reader, State.READY, f"{reader.metadata().database_type} from {path}")

    @property
    def built_at(self) -> float:
        """When the database was made, in seconds since 1970 UTC; 0 without one."""
        return 0.0 if self._reader is None else float(self._reader.metadata().build_epoch)

    def close(self) -> None:
        """Give the file back."""
        if self._reader is not None:
            self._reader.close()

    def _look_up(self, ip: str) -> Geo:
        """The place of an address; UNKNOWN for a private, reserved, unlisted or invalid one. Cached as `look_up`."""
        if self._reader is None:
            return UNKNOWN
        try:
            address = ip_address(ip)
        except ValueError:
            return UNKNOWN
        if address.version == 6 and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if not address.is_global:
            return UNKNOWN
        try:
            record = self._reader.get(address)
        except (ValueError, maxminddb.InvalidDatabaseError):
            return UNKNOWN
        return place(record) if isinstance(record, dict) else UNKNOWN


def place(record: dict[str, Any]) -> Geo:
    """A database's record as a place, be it flat (country_code, city, latitude) or nested as MaxMind's."""
    country = _child(record, "country") or _child(record, "registered_country")
    location = _child(record, "location")
    city = record.get("city")
    return Geo(
        country_code=_country_code(record.get("country_code") or country.get("iso_code") or record.get("country")),
        city=_city(city),
        latitude=_coordinate(record.get("latitude", location.get("latitude")), 90),
        longitude=_coordinate(record.get("longitude", location.get("longitude")), 180),
    )


def _child(record: dict[str, Any], name: str) -> dict[str, Any]:
    child = record.get(name)
    return child if isinstance(child, dict) else {}


def _country_code(value: object) -> str:
    if isinstance(value, str) and len(value) == 2 and value.isascii() and value.isalpha():
        return value.upper()
    return ""


def _city(value: object) -> str:
    if isinstance(value, dict):
        names = _child(value, "names")
        value = names.get("en") or next(iter(names.values()), "")
    return value if isinstance(value, str) else ""


def _coordinate(value: object, limit: int) -> float | None:
    """Degrees, 0 included; None when absent, not a number or off the globe."""
    if not isinstance(value, int | float | str):
        return None
    try:
        degrees = float(value)
    except ValueError:
        return None
    return degrees if math.isfinite(degrees) and abs(degrees) <= limit else None
