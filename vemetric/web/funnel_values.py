"""What the pages of funnels are filled with: bars drawn, rates in words, links to the users of each step."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from vemetric.model import filter_text, filter_tree, filters, text, timespan
from vemetric.model.filters import FunnelFilter, FunnelOperator, Group
from vemetric.model.funnel import Funnel
from vemetric.model.timespan import Timespan
from vemetric.stats.funnels import Counted, rate
from vemetric.web import filter_bar

# A column of the drawing: a bar, and behind it the way to the next one.
COLUMN, BAR, HEIGHT = 100, 64, 100
# What a bar keeps of its column however few its users are, so that there is something to see.
HEIGHT_MIN = 0.6
UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
ACTIVE = "Active users"


class Bar(NamedTuple):
    """A bar and the way to the next one, as SVG says it. width: as a list draws it, lying."""

    x: int
    y: str
    height: str
    flow: str
    width: str
    is_all: bool


class Step(NamedTuple):
    """A step as it is shown. number: '' for all active users, who are no step; means: what has to be done, in words.

    share: of the first bar, rounded where there is little room; kept, lost: who went on from the step before and who
    did not, None where there is none.
    users_url, lost_url: the lists of these users; dashboard_url: what they did. '' where there is none.
    """

    number: str
    name: str
    means: str
    users: int
    share: str
    rounded: str
    kept: str | None
    lost: int | None
    lost_share: str
    users_url: str
    lost_url: str
    dashboard_url: str


class Drawn(NamedTuple):
    """A funnel as it is drawn. conversion: from the first bar to the last one."""

    steps: list[Step]
    bars: list[Bar]
    width: int
    conversion: str


class Progress(NamedTuple):
    """How far one user got in a funnel. reached: steps; name: of the last one; width: of the bar."""

    funnel: Funnel
    url: str
    reached: int
    name: str
    share: str
    width: str

    @property
    def is_complete(self) -> bool:
        return self.reached == len(self.funnel.steps)


class Links(NamedTuple):
    """Where the users of a step are found: the project's address, the timespan, the filters that counted them."""

    home: str
    timespan: Timespan
    group: Group

    def to(self, page: str, *asked: FunnelFilter) -> str:
        """A page of the project with these users alone; '' where no address can say so many filters."""
        group = filter_tree.narrowed(self.group, *asked)
        if not filter_text.is_writable(group):
            return ""
        values = timespan.url_values(self.timespan) | {filter_bar.PARAMETER: filter_text.write(group)}
        return filter_bar.address(f"{self.home}{page}", values)


def draw(counted: Counted, links: Links | None, *, with_active: bool) -> Drawn:
    """A funnel with its figures. with_active: all active users stand before the first step, as what it is measured by.

    links: None where nobody may look at users.
    """
    funnel, users = counted.funnel, list(counted.users)
    shown = [counted.active_users, *users] if with_active else users
    steps = [_active(counted.active_users, links)] if with_active else []
    for number, here in enumerate(users):
        before = users[number - 1] if number else counted.active_users if with_active else None
        steps.append(_step(funnel, number, here, before, shown[0], links))
    return Drawn(steps, bars(shown, with_active=with_active), len(shown) * COLUMN, percent(shown[-1], shown[0]))


def bars(users: Sequence[int], *, with_active: bool) -> list[Bar]:
    """A bar per number, the first one full, or as high as its share of the highest."""
    highest = max(users, default=0)
    heights = [max(HEIGHT * number / highest, HEIGHT_MIN) if highest else HEIGHT_MIN for number in users]
    drawn = []
    for n, height in enumerate(heights):
        flow = _flow(n * COLUMN, height, heights[n + 1]) if n + 1 < len(heights) else ""
        is_all = with_active and n == 0
        drawn.append(Bar(n * COLUMN, f"{HEIGHT - height:.4g}", f"{height:.4g}", flow, f"{height:.4g}%", is_all))
    return drawn


def progress(funnels: Sequence[Funnel], reached: Sequence[int], home: str) -> list[Progress]:
    """One user's way through each funnel, whoever got further first. home: the address of the funnels."""
    made = []
    for funnel, count in zip(funnels, reached, strict=True):
        steps = len(funnel.steps)
        name = text.shown(funnel.step_name(count - 1)) if count else ""
        share = f"{round_half_up(count, steps)}%"
        made.append(Progress(funnel, f"{home}/{funnel.id}", count, name, share, f"{100 * count / steps:.4g}%"))
    return sorted(made, key=lambda one: -one.reached / len(one.funnel.steps))


def percent(part: int, whole: int) -> str:
    """37.50%, but 50%."""
    return f"{rate(part, whole):.2f}".removesuffix(".00") + "%"


def round_half_up(part: int, whole: int) -> int:
    """Whole percent; 0 where there is no whole."""
    return (200 * part + whole) // (2 * whole) if whole else 0


def duration(seconds: int) -> str:
    """A window in words: the largest units that say it exactly."""
    parts = []
    for unit, length in UNITS:
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count} {unit}{'s' if count != 1 else ''}")
    return " ".join(parts) or "0 seconds"


def means(funnel: Funnel, number: int) -> str:
    """What a step asks for, in words."""
    one = funnel.steps[number].filter
    said = "; ".join(" ".join(part) for part in filter_bar.words(one, NOBODY))
    kind = "Page view" if isinstance(one, filters.PageFilter) else "Event"
    return text.shown(f"{kind}: {said}" if said else f"Any {kind.lower()}")


NOBODY: Mapping[str, Funnel] = {}


def _active(users: int, links: Links | None) -> Step:
    url = "" if links is None else links.to("/users")
    return Step(
        "", ACTIVE, "Everybody who did anything", users, percent(users, users), "100%", None, None, "", url, "", ""
    )


def _step(funnel: Funnel, number: int, users: int, before: int | None, base: int, links: Links | None) -> Step:
    users_url = lost_url = dashboard_url = ""
    if links is not None:
        done = FunnelFilter(funnel.id, number)
        failed = FunnelFilter(funnel.id, number, FunnelOperator.NOT_COMPLETED)
        so_far = (FunnelFilter(funnel.id, number - 1),) if number else ()
        users_url, dashboard_url = links.to("/users", done), links.to("", done)
        lost_url = links.to("/users", *so_far, failed) if before is not None else ""
    return Step(
        str(number + 1),
        text.shown(funnel.step_name(number)),
        means(funnel, number),
        users,
        percent(users, base),
        f"{round_half_up(users, base)}%",
        None if before is None else percent(users, before),
        None if before is None else before - users,
        "" if before is None else percent(before - users, before),
        users_url,
        lost_url,
        dashboard_url,
    )


def _flow(x: int, here: float, there: float) -> str:
    """From the top of a bar in a curve to that of the next one."""
    begin, end, middle = x + BAR, x + COLUMN, x + (BAR + COLUMN) / 2
    top, next_top = HEIGHT - here, HEIGHT - there
    return f"M{begin} {top:.4g}C{middle:g} {top:.4g} {middle:g} {next_top:.4g} {end} {next_top:.4g}V{HEIGHT}H{begin}Z"
