"""A place, as far as an address tells."""

import msgspec


class Geo(msgspec.Struct, frozen=True, gc=False):
    """country_code: two upper-case letters, '' when unknown. city: '' when unknown."""

    country_code: str = ""
    city: str = ""
    latitude: float | None = None
    longitude: float | None = None


UNKNOWN = Geo()
