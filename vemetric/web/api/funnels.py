"""GET /v1/funnels and POST /v1/funnels/{id}: the funnels of a project, and how far users get in one."""

from msgspec import UNSET

from vemetric.model import funnel as model
from vemetric.stats import funnels as stats
from vemetric.stats.funnels import Counted
from vemetric.web.api import filters, instants, periods
from vemetric.web.api.answers import (
    Funnel,
    FunnelAnswer,
    FunnelEcho,
    FunnelResults,
    FunnelsAnswer,
    FunnelStep,
    StepResult,
)
from vemetric.web.api.call import Call
from vemetric.web.api.failures import Code, Refused
from vemetric.web.api.requests import FunnelQuery


async def list_(call: Call) -> FunnelsAnswer:
    """GET /v1/funnels, by creation."""
    return FunnelsAnswer([_funnel(one) for one in await call.funnels()])


async def results(call: Call) -> FunnelAnswer:
    """POST /v1/funnels/{id}. The funnel is looked up before the plan is asked."""
    body = await call.body(FunnelQuery, periods.problems_of)
    known = await call.funnels()
    funnel = next((one for one in known if one.id == call.parts["id"]), None)
    if funnel is None:
        raise Refused(404, Code.FUNNEL_NOT_FOUND, "The project has no such funnel.")
    period = call.period(body.date_range, body.timezone, call.now_ms)
    conditions = filters.conditions_of(body.filters, body.filters_operator, known)
    counted = Counted(funnel, (), 0)
    if funnel.steps:
        [counted] = await stats.count(call.services.engine, call.project, period.range, [funnel], conditions)
    operator = UNSET if body.filters is UNSET else body.filters_operator
    echo = FunnelEcho(body.date_range, body.filters, operator)
    return FunnelAnswer(period.told, echo, _funnel(funnel), _results(counted))


def _funnel(funnel: model.Funnel) -> Funnel:
    return Funnel(
        id=funnel.id,
        name=funnel.name,
        icon=funnel.icon,
        steps=[
            FunnelStep(step.id, funnel.step_name(number), filters.told(step.filter))
            for number, step in enumerate(funnel.steps)
        ],
        created_at=instants.in_milliseconds(funnel.created_at_ms),
        updated_at=instants.in_milliseconds(funnel.updated_at_ms),
    )


def _results(counted: Counted) -> FunnelResults:
    funnel = counted.funnel
    if not funnel.steps:
        return FunnelResults(0, [], 0, 0)
    return FunnelResults(
        active_users=counted.active_users,
        steps=[
            StepResult(step.id, funnel.step_name(number), counted.users[number], counted.step_rate(number))
            for number, step in enumerate(funnel.steps)
        ],
        conversion_rate=counted.conversion,
        active_user_conversion_rate=counted.active_conversion,
    )
