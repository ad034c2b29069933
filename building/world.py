"""The world map as an SVG whose countries pages pick out by `#c-<code>`: drawn from Natural Earth's public domain
borders (npm's world-atlas), at build time.

A country that is too small to be drawn at this size is a dot where it lies.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from vemetric.model import mercator

Point = tuple[float, float]
Ring = list[Point]

# Nobody lives there, and it would be half the map.
ANTARCTICA = "AQ"
# Codes that Natural Earth does not number.
BY_NAME = {"Kosovo": "XK", "N. Cyprus": "CY", "Somaliland": "SO"}
DOT_RADIUS = 2.2


def draw(node_modules: Path) -> str:
    """The SVG's text."""
    codes = _codes(node_modules / "i18n-iso-countries" / "codes.json")
    atlas = node_modules / "world-atlas"
    large = _countries(json.loads((atlas / "countries-110m.json").read_text(encoding="utf-8")), codes)
    small = _countries(json.loads((atlas / "countries-50m.json").read_text(encoding="utf-8")), codes)
    shapes = {code: _path(rings) for code, rings in large.items()}
    shapes |= {code: _dot(rings) for code, rings in small.items() if code not in shapes}
    paths = "".join(f'<path id="c-{code.lower()}" d="{shape}"/>' for code, shape in sorted(shapes.items()))
    box = f"0 0 {mercator.WIDTH} {mercator.HEIGHT}"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}"><g id="land">{paths}</g></svg>\n'


def _codes(file: Path) -> dict[str, str]:
    """Two-letter codes by the numbers of ISO 3166."""
    return {row[2]: row[0] for row in json.loads(file.read_text(encoding="utf-8"))}


def _countries(topology: dict[str, Any], codes: dict[str, str]) -> dict[str, list[Ring]]:
    """The outlines of each country, in degrees."""
    arcs = list(_arcs(topology))
    found: dict[str, list[Ring]] = {}
    for shape in topology["objects"]["countries"]["geometries"]:
        code = codes.get(shape.get("id", ""), BY_NAME.get(shape["properties"]["name"], ""))
        if not code or code == ANTARCTICA or shape["type"] not in ("Polygon", "MultiPolygon"):
            continue
        polygons = [shape["arcs"]] if shape["type"] == "Polygon" else shape["arcs"]
        for ring in (ring for polygon in polygons for ring in polygon):
            found.setdefault(code, []).extend(_on_both_edges(_ring(arcs, ring)))
    return found


def _arcs(topology: dict[str, Any]) -> Iterator[Ring]:
    """The lines that outlines are made of: stored as steps of whole numbers."""
    (wide, high), (left, low) = topology["transform"]["scale"], topology["transform"]["translate"]
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for step_x, step_y in arc:
            x, y = x + step_x, y + step_y
            points.append((x * wide + left, y * high + low))
        yield points


def _ring(arcs: list[Ring], numbers: Iterable[int]) -> Ring:
    """An outline of arcs; a negative number is one taken backwards."""
    points: Ring = []
    for number in numbers:
        arc = arcs[number] if number >= 0 else arcs[~number][::-1]
        points += arc[1:] if points else arc
    return points


def _on_both_edges(ring: Ring) -> Iterator[Ring]:
    """An outline in one piece. One that crosses the edge of the map is drawn at both of them, half of it beyond."""
    points: Ring = []
    turned = 0
    for longitude, latitude in ring:
        step = longitude + turned - points[-1][0] if points else 0
        if abs(step) > 180:
            turned += -360 if step > 0 else 360
        points.append((longitude + turned, latitude))
    yield points
    for shift, crosses in ((-360, max(x for x, _ in points) > 180), (360, min(x for x, _ in points) < -180)):
        if crosses:
            yield [(longitude + shift, latitude) for longitude, latitude in points]


def _path(rings: list[Ring]) -> str:
    return "".join(
        f"M{points[0]}" + "".join(f"L{point}" for point in points[1:]) + "Z"
        for ring in rings
        if len(points := _units(ring)) > 2
    )


def _units(ring: Ring) -> list[str]:
    """An outline on the map; points that fall on the one before them are left out."""
    points: list[str] = []
    for longitude, latitude in ring:
        x, y = mercator.place(longitude, latitude)
        text = f"{x:g} {y:g}"
        if not points or points[-1] != text:
            points.append(text)
    return points


def _dot(rings: list[Ring]) -> str:
    """A circle in the middle of the largest outline."""
    ring = max(rings, key=len)
    longitudes, latitudes = [point[0] for point in ring], [point[1] for point in ring]
    x, y = mercator.place((min(longitudes) + max(longitudes)) / 2, (min(latitudes) + max(latitudes)) / 2)
    r = DOT_RADIUS
    return f"M{x - r:g} {y:g}a{r} {r} 0 1 0 {2 * r:g} 0a{r} {r} 0 1 0 {-2 * r:g} 0Z"
