"""A set of filters that a project keeps under a name."""

import msgspec

from vemetric.model.filters import Group


class SavedFilter(msgspec.Struct, frozen=True):
    """filters is a whole set. icon: an emoji, or None."""

    id: str
    project_id: int
    name: str
    filters: Group
    icon: str | None = None
    created_at_ms: int = 0
