"""What a browser tells about itself in its Sec-CH-UA headers, read as the original reads it.

Browsers send the first three of these unasked on https pages; the others only to servers that ask for them.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vemetric.enrich.browsers import Found

FULL_VERSION_LIST = "sec-ch-ua-full-version-list"
BRANDS = "sec-ch-ua"
MOBILE = "sec-ch-ua-mobile"
PLATFORM = "sec-ch-ua-platform"
PLATFORM_VERSION = "sec-ch-ua-platform-version"
MODEL = "sec-ch-ua-model"
FORM_FACTORS = "sec-ch-ua-form-factors"
HEADERS = (FULL_VERSION_LIST, BRANDS, MOBILE, PLATFORM, PLATFORM_VERSION, MODEL, FORM_FACTORS)
HEADER_CHARACTERS_MAX = 500

# The first of these that is a part of the brand.
BRAND_NAMES = (
    ("Microsoft Edge WebView2", "Edge WebView2"),
    ("Google Chrome", "Chrome"),
    ("Microsoft Edge", "Edge"),
    ("Android WebView", "Chrome WebView"),
    ("HeadlessChrome", "Chrome Headless"),
    ("HuaweiBrowser", "Huawei Browser"),
    ("Miui Browser", "MIUI Browser"),
    ("OperaMobile", "Opera Mobi"),
    ("YaBrowser", "Yandex"),
)
WEBVIEW = "Edge WebView2"
FORM_FACTOR_TYPES = {
    "Mobile": "mobile",
    "Tablet": "tablet",
    "EInk": "tablet",
    "TV": "smarttv",
    "Watch": "wearable",
    "VR": "xr",
    "XR": "xr",
    "Automotive": "embedded",
}
WINDOWS_11_SINCE = 13

_ITEM = re.compile(r'\s*(?:"(?P<quoted>[^"]*)"|(?P<bare>[^,;"]+))(?:\s*;\s*v="?(?P<version>[^",;]*)"?)?[^,"]*')
_NO_BRAND = re.compile(r"not.a.brand", re.IGNORECASE)


class Hints(NamedTuple):
    """What the hints say; None, or '' for the types, where they say nothing."""

    browser: Found | None
    system: Found | None
    device_type: str
    model: str


NO_HINTS = Hints(None, None, "", "")


def values(headers: Mapping[str, str]) -> tuple[str, ...] | None:
    """The hints among lower-case headers in the order of HEADERS, None if there are none: a key to remember them by."""
    found = tuple([(headers.get(name) or "")[:HEADER_CHARACTERS_MAX] for name in HEADERS])
    return found if any(found) else None


def read(hints: Sequence[str]) -> Hints:
    """Read the values of HEADERS."""
    full_versions, brands, mobile, platform, platform_version, model, form_factors = hints
    return Hints(
        browser=_browser(full_versions or brands),
        system=_system(_unquoted(platform), _unquoted(platform_version), _unquoted(model)),
        device_type=_device_type(form_factors, mobile),
        model=_unquoted(model),
    )


def _browser(brands: str) -> Found | None:
    """The most telling brand: the first real one, unless that is Chrome or Edge and a later one is built on it."""
    found: Found | None = None
    for item in _ITEM.finditer(brands):
        brand = (item["quoted"] if item["quoted"] is not None else item["bare"]).strip()
        if not brand or _NO_BRAND.search(brand):
            continue
        name = next((ours for theirs, ours in BRAND_NAMES if theirs in brand), brand)
        if found is None or ("Chrom" in found.name and name != "Chromium") or (found.name, name) == ("Edge", WEBVIEW):
            found = Found(name, item["version"] or "")
    return found


def _system(platform: str, version: str, model: str) -> Found | None:
    if not platform:
        return None
    if platform != "Windows":
        return Found(platform, version)
    if model == "Xbox":
        return Found("Xbox", "")
    major = version.partition(".")[0]
    is_newer = major.isdecimal() and major.isascii() and int(major) >= WINDOWS_11_SINCE
    return Found(platform, "11" if is_newer else "10")


def _device_type(form_factors: str, mobile: str) -> str:
    """The first form factor decides, even for nothing; without any, `?1` means a phone."""
    first = _unquoted(form_factors.partition(",")[0])
    if first:
        return FORM_FACTOR_TYPES.get(first, "")
    return "mobile" if mobile.strip() == "?1" else ""


def _unquoted(text: str) -> str:
    return text.strip().strip('"').strip()
