"""Funnels: steps that users take one after another within a window."""

import msgspec

from vemetric.model.filters import EventFilter, PageFilter

DEFAULT_WINDOW_SECONDS = 168 * 3600


class Step(msgspec.Struct, frozen=True):
    """A page view or an event. An unnamed step is called by its number."""

    id: str
    name: str
    filter: PageFilter | EventFilter


class Funnel(msgspec.Struct, frozen=True):
    """window_seconds: the longest time from the first step to the last one, inclusive."""

    id: str
    name: str
    steps: tuple[Step, ...]
    icon: str | None = None
    window_seconds: int = DEFAULT_WINDOW_SECONDS
    created_at_ms: int = 0
    updated_at_ms: int = 0

    def step_name(self, number: int) -> str:
        """What a step is called; numbers count from 0, as in filters."""
        return self.steps[number].name or f"Step {number + 1}"
