"""One request to the API, as endpoints see it: whose it is, what it says, and what they need to answer it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

import msgspec
from aiohttp import web
from msgspec import UnsetType

from vemetric.database import funnels as stored_funnels
from vemetric.model.api_key import ApiKey
from vemetric.model.funnel import Funnel
from vemetric.model.project import Project
from vemetric.services import Services
from vemetric.stats.filters import Conditions
from vemetric.web.api import checks, filters, periods
from vemetric.web.api.checks import PROBLEMS_MAX
from vemetric.web.api.failures import Code, Detail, Refused, invalid
from vemetric.web.api.periods import Asked
from vemetric.web.api.types import AnyFilter, DateRange, FiltersOperator
from vemetric.web.hub import read_body
from vemetric.web.hub_answers import Refused as HubRefused

T = TypeVar("T")
BODY_BYTES_MAX = 1_000_000
JSON_TYPES = ("application/json", "+json")


class Call(NamedTuple):
    """A request past the gate. parts: what stands in its path. headers: what every answer to it bears."""

    request: web.Request
    services: Services
    key: ApiKey
    project: Project
    has_plan: bool
    now_ms: int
    parts: Mapping[str, str]
    headers: Mapping[str, str]

    async def body(self, kind: type[T], problems_of: Callable[[dict[str, Any]], Iterable[Detail]]) -> T:
        """The body, as its type. Raises Refused with what is wrong with it, PROBLEMS_MAX things at most.

        problems_of: what does not go together, of a body whose fields are of the right kinds, if not within bounds.
        """
        value = await self.json()
        try:
            checked = checks.check(kind, value)
            problems = list(islice(chain(checked.problems, problems_of(value) if checked.usable else ()), PROBLEMS_MAX))
            if problems:
                raise invalid(problems)
            return checks.convert(kind, value)
        except RecursionError:
            raise Refused(400, Code.HTTP, "The body is nested too deeply.") from None

    async def json(self) -> Any:
        """The decoded body; an empty object where it is no JSON by its type. Raises Refused."""
        kind = self.request.content_type
        if not kind.endswith(JSON_TYPES):
            return {}
        try:
            sent = await read_body(self.request, BODY_BYTES_MAX)
        except HubRefused as error:
            raise Refused(error.status, Code.HTTP, error.body) from None
        try:
            sent.decode()
            return msgspec.json.decode(sent)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refused(400, Code.HTTP, "The body is no JSON.") from None

    def period(self, date_range: DateRange, zone: str, now_ms: int) -> Asked:
        """The period, where the plan reaches so far. Raises Refused."""
        self.check_plan(date_range)
        return periods.resolve(date_range, zone, now_ms)

    def check_plan(self, date_range: DateRange) -> None:
        """Raises Refused where a range reaches further than the organization's plan."""
        if not self.has_plan and periods.needs_plan(date_range, self.now_ms):
            raise Refused(403, Code.PLAN, "The organization's plan does not reach so far back.")

    async def conditions(self, sent: Sequence[AnyFilter] | UnsetType, operator: FiltersOperator) -> Conditions:
        """Filters, compiled with the project's funnels."""
        funnels = await self.funnels() if filters.names_funnels(sent) else []
        return filters.conditions_of(sent, operator, funnels)

    async def funnels(self) -> list[Funnel]:
        """The project's funnels, the oldest first."""
        async with self.services.database.connect() as connection:
            return await stored_funnels.of_project(connection, self.project.id)
