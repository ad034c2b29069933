"""Icons that an admin gives to events, an emoji each; the dashboard shows them beside the events' names."""

import unicodedata

from vemetric import errors
from vemetric.accounts import fields
from vemetric.database import event_icons as stored
from vemetric.database.database import Database

ICONS_MAX = 200
NAME_LENGTH_MAX = 200
# A family with skin tones is eleven code points.
ICON_LENGTH_MAX = 12
# What an emoji may be made of besides symbols: joiners, selectors, tags, keycap digits.
_PARTS = ("So", "Sk", "Sm", "Mn", "Me", "Cf")
_KEYCAPS = "0123456789#*"


async def of_project(database: Database, project_id: int) -> dict[str, str]:
    """Icons by the names of events, in the order of the names."""
    async with database.connect(may_lag=True) as connection:
        return await stored.of_project(connection, project_id)


async def put(database: Database, project_id: int, event_name: str, icon: str) -> None:
    """Give an event an icon. Raises Invalid per field, Conflict when there are too many."""
    typed = fields.clean(event_name=(_event_name, event_name), icon=(emoji, icon))
    async with database.begin() as connection:
        await connection.lock(f"event-icons:{project_id}")
        known = await stored.of_project(connection, project_id)
        if typed["event_name"] not in known and len(known) >= ICONS_MAX:
            raise errors.Conflict(f"A project can have {ICONS_MAX} icons.")
        await stored.put(connection, project_id, typed["event_name"], typed["icon"])


async def remove(database: Database, project_id: int, event_name: str) -> None:
    """Take an event's icon away; one that has none stays without."""
    async with database.begin() as connection:
        await stored.delete(connection, project_id, event_name)


def _event_name(text: str) -> str:
    if not text.strip() or len(text) > NAME_LENGTH_MAX:
        raise ValueError(f"Use the name of an event, 1 to {NAME_LENGTH_MAX} characters.")
    return text.strip()


def emoji(text: str) -> str:
    """One emoji, without surplus space; raises ValueError with what is wrong."""
    cleaned = text.strip()
    is_emoji = all(unicodedata.category(letter) in _PARTS or letter in _KEYCAPS for letter in cleaned)
    if not 0 < len(cleaned) <= ICON_LENGTH_MAX or not is_emoji or cleaned.isascii():
        raise ValueError("Use one emoji.")
    return cleaned
