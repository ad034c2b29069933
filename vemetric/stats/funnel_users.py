"""The users of a page's funnel filters, found once for all its statements. Called by dashboard.py and its page.

Who got through a funnel is dear to find, and every statement of a page needs it of the same range. So it is asked once,
of both windows, and the users are handed on as a parameter. They are of one page alone: nothing has to be kept true.
"""

import msgspec

from vemetric.clickhouse.engine import Engine
from vemetric.model import timespan
from vemetric.model.dashboard import Range
from vemetric.model.project import Project
from vemetric.stats.filters import Conditions
from vemetric.stats.query import Query, Reader

# The users of all funnels in both windows, of 21 bytes each: below the mebibyte that proxies let a request have and
# that is sent at once. A funnel with more is left to each statement.
HANDED_ON_MAX = 48_000


async def settle(engine: Engine, project: Project, range_: Range, conditions: Conditions) -> Conditions:
    """The conditions with the users of their funnels: for this range of this project, soon. Raises StoreBusy."""
    return (await settled(Reader(engine), Query(project.id, range_, conditions))).conditions


async def settled(reader: Reader, query: Query) -> Query:
    """The query with the users of its funnels; as it is without funnels and when it is settled. Raises StoreBusy."""
    funnels, found, left = query.conditions.unsettled(), dict[int, tuple[str, str]](), HANDED_ON_MAX
    if not funnels:
        return query
    asked = query.with_previous(timespan.previous(query.range))
    for number, reached in funnels.items():
        parameters = asked | {"limit": left + 1}
        [[users, current, previous]] = await reader.rows("funnel_users", parameters, {"reached": reached})
        if users <= left:
            found[number] = (current, previous)
            left -= users
    return msgspec.structs.replace(query, conditions=query.conditions.settled(found))
