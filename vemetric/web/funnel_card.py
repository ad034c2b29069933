"""The dashboard's card of funnels: how many users get through each, and through the steps of the one gone into."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from vemetric.model import filter_text, filter_tree, filters, text
from vemetric.model.filters import FunnelFilter
from vemetric.model.funnel import Funnel
from vemetric.stats.funnels import Counted, rate
from vemetric.web import dashboard_values, view
from vemetric.web.funnel_values import Links, percent
from vemetric.web.view import FUNNELS, View

# Narrower bars cannot be seen.
WIDTH_MIN = 1.5
Link = Mapping[str, str]


class Line(NamedTuple):
    """A funnel, or a step of one. number: of the step, '' for a funnel. Addresses are '' and links None where the
    public has none, and where none can say all the filters.
    """

    label: str
    icon: str
    number: str
    users: int
    share: str
    width: str
    steps: Link | None
    users_url: str
    filter_url: str
    is_on: bool


def values(
    path: str,
    state: View,
    funnels: Sequence[Funnel],
    counted: Sequence[Counted] | None,
    *,
    is_late: bool = False,
    is_public: bool = False,
) -> dict[str, Any]:
    """For the template.

    funnels: those of the project. counted: None where they were not, in time (is_late) or at all.
    """
    found = counted or ()
    opened = next((one for one in found if one.funnel.id == state.funnel), None)
    links = None if is_public else Links(path, state.timespan, state.filters)
    if opened is not None:
        lines = _steps(path, state, opened, links)
    else:
        lines = sorted((_line(path, state, one, links) for one in found), key=lambda line: -line[0])
    of_all = msgspec.structs.replace(state, of_active=not state.of_active)
    return {
        "lines": [line for _, line in lines],
        "total": len(funnels),
        "is_counted": counted is not None,
        "is_late": is_late,
        "is_public": is_public,
        "opened": None if opened is None else text.shown(opened.funnel.name),
        "opened_url": "" if opened is None else f"{path}/funnels/{opened.funnel.id}",
        "back": _link(path, msgspec.structs.replace(state, funnel="")),
        "of_active": state.of_active,
        "of_all": _link(path, of_all),
        "here": _link(path, state),
        "whole": dashboard_values.whole_fragment_url(path, FUNNELS, state),
        "path": path,
        "exports": None if is_public else dashboard_values.exports(path, FUNNELS, state),
    }


def asked(state: View, funnels: Sequence[Funnel]) -> list[Funnel]:
    """The funnels that the card is about: those of the filters where there are such, else all."""
    named = {one.id for one in filters.leaves(state.filters) if isinstance(one, FunnelFilter)}
    return [funnel for funnel in funnels if funnel.id in named] or list(funnels)


def _line(path: str, state: View, counted: Counted, links: Links | None) -> tuple[float, Line]:
    """A funnel, with the rate it is ordered by."""
    users = counted.users[-1]
    base = counted.active_users if state.of_active else counted.users[0]
    done = FunnelFilter(counted.funnel.id, len(counted.users) - 1)
    into = _link(path, msgspec.structs.replace(state, funnel=counted.funnel.id))
    icon = counted.funnel.icon or ""
    return _drawn(
        path, state, Line(counted.funnel.name, icon, "", users, "", "", into, "", "", False), base, done, links
    )


def _steps(path: str, state: View, counted: Counted, links: Links | None) -> list[tuple[float, Line]]:
    funnel, base = counted.funnel, counted.active_users if state.of_active else counted.users[0]
    made = []
    for number, users in enumerate(counted.users):
        line = Line(funnel.step_name(number), "", str(number + 1), users, "", "", None, "", "", False)
        made.append(_drawn(path, state, line, base, FunnelFilter(funnel.id, number), links))
    return made


def _drawn(
    path: str, state: View, line: Line, base: int, done: FunnelFilter, links: Links | None
) -> tuple[float, Line]:
    share = rate(line.users, base)
    line = line._replace(
        label=text.shown(line.label), share=percent(line.users, base), width=f"{max(share, WIDTH_MIN):.4g}%"
    )
    if links is None:
        return share, line
    changed = view.with_filters(state, filter_tree.toggled(state.filters, done))
    return share, line._replace(
        users_url=links.to("/users", done),
        filter_url=view.url(path, changed) if filter_text.is_writable(changed.filters) else "",
        is_on=done in state.filters.filters,
    )


def _link(path: str, state: View) -> Link:
    return {"page": view.url(path, state), "fragment": dashboard_values.fragment_url(path, FUNNELS, state)}
