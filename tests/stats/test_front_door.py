"""The figures of visits that came in as a site sends them: accepted by the hub's rules, written by the workers."""

from tests.kit import visits
from vemetric.model import timespan
from vemetric.model.dashboard import Row
from vemetric.model.geo import Geo
from vemetric.model.timespan import Timespan
from vemetric.stats import dashboard
from vemetric.stats.dashboard import Choice

MINUTE_MS = 60_000


async def test_visits_become_a_dashboard(services_at_noon, clock):
    services = services_at_noon
    project = await visits.a_project(services, time_zone="Europe/Vienna")
    ann = visits.sender(project, "203.0.113.1", visits.CHROME)
    bob = visits.sender(project, "203.0.113.2", visits.IPHONE)
    vienna = Geo("AT", "Vienna", 48.2, 16.4)
    await visits.event(services, project, path="/", who=ann, place=vienna, referrer="https://www.google.com/")
    await visits.event(services, project, path="/", who=bob)
    clock.advance(MINUTE_MS)
    await visits.event(services, project, path="/pricing", who=ann, place=vienna)
    await visits.event(services, project, "signup", path="/pricing", who=ann, place=vienna)
    clock.advance(MINUTE_MS)
    await visits.leave(services, project, ann)
    await visits.settle(services)

    range_ = timespan.resolve(Timespan(), clock.now_ms(), project.time_zone)
    shown = await dashboard.load(services.engine, project, range_, cards={"locations": Choice("cities")})
    assert {key: tile.value for key, tile in shown.tiles.items()} == {
        "users": 2,
        "pageViews": 3,
        "bounceRate": 50,
        "visitDuration": 120,
        "visitDurationAll": 60,
        "events": 1,
        "visits": 2,
        "viewsPerVisit": 1.5,
    }
    assert (shown.online, shown.has_data) == (2, True)
    origin = f"https://{project.domain}"
    assert shown.cards["pages"].rows == [Row("/", 2, 2, origin), Row("/pricing", 1, 1, origin)]
    assert shown.cards["sources"].rows == [Row("", 1), Row("Google", 1, None, "https://www.google.com/")]
    assert shown.cards["events"].rows == [Row("signup", 1, 1)]
    assert shown.cards["locations"].rows == [Row("", 1), Row("Vienna", 1, None, "AT")]
    assert [row.key for row in shown.cards["clients"].rows] == ["Chrome", "Mobile Safari"]
    last = shown.buckets[-1]
    assert (last.users, last.page_views, last.events, last.bounce_rate, last.visit_duration) == (2, 3, 1, 50, 120)
    assert last.incomplete
