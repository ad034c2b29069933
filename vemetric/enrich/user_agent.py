"""What a visitor's client is: browser, operating system and kind of device, from the headers of a hit.

Called once per hit by workers/event.py. Most visitors share a few thousand combinations of headers, so answers are
remembered; a new one costs three searches by an engine that knows all patterns of a table at once.
"""

from collections.abc import Mapping
from functools import lru_cache

from vemetric.enrich import browsers, client_hints, device_types, systems
from vemetric.enrich.browsers import Found
from vemetric.enrich.client_hints import NO_HINTS, Hints
from vemetric.model.device import Device
from vemetric.model.text import well_formed

USER_AGENT_CHARACTERS_MAX = 500
CACHED_CLIENTS_MAX = 8192
UNKNOWN = "Unknown"

# Brands that say less than the user agent does.
WEAK_BRANDS = frozenset(("Chromium", "Win32", "`Chrome`", "Opera Mobi", "content_shell", UNKNOWN))


def device(headers: Mapping[str, str]) -> Device:
    """The client that sent these headers (lower-case names). Never raises; what is not recognised is Unknown."""
    user_agent = (headers.get("user-agent") or "")[:USER_AGENT_CHARACTERS_MAX]
    return _device(user_agent, client_hints.values(headers))


def warm_up() -> None:
    """Build the tables' engines now instead of at the first hit."""
    _device("", None)


@lru_cache(CACHED_CLIENTS_MAX)
def _device(user_agent: str, hint_values: tuple[str, ...] | None) -> Device:
    user_agent = well_formed(user_agent)
    hints = client_hints.read([well_formed(value) for value in hint_values]) if hint_values else NO_HINTS
    browser, system = browsers.find(user_agent), systems.find(user_agent)
    name = _client_name(browser, hints)
    is_browser = browser is not None or hints.browser is not None
    return Device(
        os_name=_first(hints.system, system, field=0),
        os_version=_first(hints.system, system, field=1),
        client_name=name,
        client_version=_first(browser, hints.browser, field=1),
        client_type="browser" if is_browser else "server",
        device_type=_device_type(user_agent, hints, name, is_browser),
    )


def _first(*found: Found | None, field: int) -> str:
    """The name (field 0) or version (field 1) of the first that has one."""
    return next((value for each in found if each is not None and (value := each[field])), UNKNOWN)


def _client_name(browser: Found | None, hints: Hints) -> str:
    if hints.browser is not None and hints.browser.name in WEAK_BRANDS:
        return _first(browser, hints.browser, field=0)
    return _first(hints.browser, browser, field=0)


def _device_type(user_agent: str, hints: Hints, client_name: str, is_browser: bool) -> str:
    """Hints before the user agent before its words; a browser on something unknown is taken for a desktop."""
    told = hints.device_type or device_types.find(user_agent)
    if told:
        return told
    if "mobile" in client_name.lower():
        return "mobile"
    if device_types.is_large_android(user_agent):
        return "tablet"
    return device_types.find(hints.model) or ("desktop" if is_browser else "unknown")
