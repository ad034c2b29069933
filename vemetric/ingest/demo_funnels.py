"""The funnels that the demo project begins with: what its made-up visitors do. Made by `vemetric demo`."""

from typing import NamedTuple

from vemetric.model.filters import EventFilter, PageFilter, Text, TextOperator
from vemetric.model.funnel import Step


class Made(NamedTuple):
    """A funnel to make."""

    name: str
    icon: str
    window_seconds: int
    steps: tuple[Step, ...]


def _page(id_: str, name: str, path: str, operator: TextOperator = TextOperator.STARTS_WITH) -> Step:
    return Step(id_, name, PageFilter(Text(operator, path)))


def _event(id_: str, name: str, event: str) -> Step:
    return Step(id_, name, EventFilter(Text(value=event)))


FUNNELS = (
    Made(
        "From tea to order",
        "🍵",
        7 * 86_400,
        (
            _page("teas", "Looked at teas", "/teas"),
            _event("basket", "Put one into the basket", "AddToBasket"),
            _page("checkout", "Went to the checkout", "/checkout", TextOperator.IS),
            _event("order", "Ordered", "Order"),
        ),
    ),
    Made(
        "Readers who subscribe",
        "📰",
        86_400,
        (_page("journal", "Read the journal", "/journal"), _event("newsletter", "Took the newsletter", "Newsletter")),
    ),
)
