"""Where places lie on the map: Mercator, from 56 degrees south to 82 north, 1000 units wide. Used by the build of
the map's file and by the cities drawn on it, so plain standard library.
"""

import math

WIDTH = 1000
NORTH, SOUTH = 82.0, -56.0


def _stretched(latitude: float) -> float:
    return math.log(math.tan(math.pi / 4 + math.radians(min(max(latitude, SOUTH), NORTH)) / 2))


HEIGHT = round((_stretched(NORTH) - _stretched(SOUTH)) / (2 * math.pi) * WIDTH)


def place(longitude: float, latitude: float) -> tuple[float, float]:
    """x and y of a place, in units from the upper left; what is beyond the map's edge lies on it."""
    x = (longitude + 180) / 360 * WIDTH
    y = (_stretched(NORTH) - _stretched(latitude)) / (2 * math.pi) * WIDTH
    return round(x, 1), round(y, 1)
