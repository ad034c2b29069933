"""The endpoints of the API, to be read from top to bottom, with what the document says of each."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
from aiohttp import web

from vemetric.model.api_key import Scope
from vemetric.web.api import analytics, answers, export, funnels, project, requests, sent, sessions, users, values
from vemetric.web.api.call import Call
from vemetric.web.api.failures import Code

BASE = "/api/v1"


class Endpoint(NamedTuple):
    """A path below BASE. name: the document's operation id. query: whether a user can be named in the query.

    request, answer: what goes in and out; refusals: failures beside those that all endpoints share.
    """

    method: str
    path: str
    handler: Callable[[Call], Awaitable[msgspec.Struct | web.StreamResponse]]
    name: str
    tag: str
    summary: str
    words: str
    answer: type[msgspec.Struct]
    request: type[msgspec.Struct] | None = None
    example: Any = None
    query: bool = False
    scope: Scope = Scope.READ
    refusals: tuple[Code, ...] = ()
    has_plan: bool = True
    is_stream: bool = False


RANGE = {"dateRange": "30days"}

ENDPOINTS = (
    Endpoint(
        "GET",
        "/project",
        project.show,
        "getProject",
        "Project",
        "The project of the key",
        "Name, domain, public token and exclusions of the project that the key opens.",
        answers.ProjectAnswer,
        has_plan=False,
    ),
    Endpoint(
        "POST",
        "/analytics/query",
        analytics.query,
        "queryAnalytics",
        "Analytics",
        "Figures of a period",
        "Users, page views, events, bounce rate and visit duration of a period: whole, by time, or by a field or a "
        "property of events. Without `orderBy` rows by time are in the order of time, others by their first metric, "
        "the highest first.",
        answers.AnalyticsAnswer,
        requests.AnalyticsQuery,
        RANGE
        | {"metrics": ["users", "pageviews"], "groupBy": ["country"], "orderBy": [["users", "desc"]], "limit": 10},
    ),
    Endpoint(
        "POST",
        "/filters/values",
        values.values,
        "listFilterValues",
        "Analytics",
        "Values to filter by",
        "The values that some fields have in a period, in the order of words. Countries are codes, in the order of "
        "their English names.",
        answers.ValuesAnswer,
        requests.ValuesQuery,
        RANGE | {"fields": ["country", "browser"], "limit": 20},
    ),
    Endpoint(
        "POST",
        "/users",
        users.list_,
        "listUsers",
        "Users",
        "The users of a period",
        "Users who did anything in a period, the last seen first unless `orderBy` says otherwise.",
        answers.UsersAnswer,
        requests.UsersQuery,
        RANGE | {"orderBy": [["lastEventFired", "desc", {"name": {"value": "signup", "operator": "eq"}}]]},
    ),
    Endpoint(
        "GET",
        "/users/single",
        users.single,
        "getUser",
        "Users",
        "One user",
        "What is known of a user, by the id of ours or by the site's own identifier.",
        answers.UserAnswer,
        query=True,
        refusals=(Code.USER_NOT_FOUND,),
        has_plan=False,
    ),
    Endpoint(
        "POST",
        "/users/events",
        users.events,
        "listUserEvents",
        "Users",
        "What one user did",
        "Page views and events of one user, the latest first. Filters restrict the single events.",
        answers.UserEventsAnswer,
        requests.UserEventsQuery,
        RANGE | {"filters": [{"type": "event", "name": {"value": "signup", "operator": "eq"}}]},
        query=True,
        refusals=(Code.USER_NOT_FOUND,),
    ),
    Endpoint(
        "POST",
        "/sessions",
        sessions.list_,
        "listSessions",
        "Users",
        "The visits of a period",
        "Visits that began in a period, of everybody or of one user, the latest first unless `orderBy` says otherwise. "
        "Filters on places, sources and campaigns pick visits, all others the users whose visits are listed. Page "
        "views and events are those of the whole visit.",
        answers.SessionsAnswer,
        requests.SessionsQuery,
        RANGE | {"orderBy": [["duration", "desc"]], "limit": 10, "cursor": ""},
        query=True,
        refusals=(Code.USER_NOT_FOUND,),
    ),
    Endpoint(
        "GET",
        "/funnels",
        funnels.list_,
        "listFunnels",
        "Funnels",
        "The project's funnels",
        "All funnels with their steps, the oldest first.",
        answers.FunnelsAnswer,
        has_plan=False,
    ),
    Endpoint(
        "POST",
        "/funnels/{id}",
        funnels.results,
        "queryFunnel",
        "Funnels",
        "How far users get",
        "How many users of a period reach each step of a funnel. Rates are percent: of a step of those who reached the "
        "one before.",
        answers.FunnelAnswer,
        requests.FunnelQuery,
        RANGE,
        refusals=(Code.FUNNEL_NOT_FOUND,),
    ),
    Endpoint(
        "POST",
        "/events/export",
        export.send,
        "exportEvents",
        "Events",
        "All events of a period",
        "Every page view and event of a period as a line of JSON or CSV, the oldest first, sent while it is read.",
        answers.ExportedEvent,
        requests.ExportQuery,
        {"dateRange": ["2026-01-01", "2026-01-31"], "format": "ndjson"},
        is_stream=True,
    ),
    Endpoint(
        "POST",
        "/events",
        sent.take,
        "sendEvents",
        "Events",
        "Send events from a server",
        "Up to 500 events, of now or of the last 72 hours, each judged by itself. Needs a key that may write. An event "
        "with an `id` of yours is taken once, so a request whose answer was lost can be sent again.",
        answers.SentAnswer,
        requests.SentEvents,
        {
            "events": [
                {
                    "id": "order-1042",
                    "name": "purchase",
                    "userIdentifier": "user-17",
                    "customData": {"plan": "pro", "seats": 3},
                }
            ]
        },
        scope=Scope.WRITE,
        has_plan=False,
    ),
)
