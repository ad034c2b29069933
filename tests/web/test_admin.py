"""The pages of /admin: queues as a job board, dead letters, schedule, letters, the system; by login and by password."""

import base64
import re
from collections.abc import Mapping, Sequence

import pytest

from tests.kit import visits
from tests.web.conftest import Browser, Cast, Page, Site
from vemetric import commands, workers
from vemetric.mail import letters
from vemetric.queues import schedule
from vemetric.queues.history import History
from vemetric.queues.job import DeadJob, ListedJob, NewJob, State, Write
from vemetric.queues.lease import Lease
from vemetric.queues.schedule import Schedule
from vemetric.web.routes import ROUTES, Access

NAME, PASSWORD = "board", "a pässword: with a colon"
SECOND_MS = 1_000


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
async def olga(site: Site, cast: Cast) -> Browser:
    return await site.browser_of(cast.olga)


async def act(browser: Browser, path: str, action: str, seen_at: str = "") -> Page:
    """Press a button and see where it leads."""
    page = await browser.fill(seen_at or path, {"action": action}, path)
    assert page.status == 303, page.text
    return await browser.get(page.location)


async def bury(
    site: Site, *payloads: bytes, queue: str = "device", error: str = "Traceback\nValueError: no"
) -> list[int]:
    board = site.services.queue
    await board.put(Write([NewJob(queue, payload) for payload in payloads]))
    await board.bury(await board.claim(queue, 99, 60), error)
    return [letter.id for letter in await board.dead(queue, 99)]


class TestQueues:
    async def test_what_is_in_line_is_shown(self, site: Site, cast: Cast, olga: Browser) -> None:
        queue, now_ms = site.services.queue, site.services.clock.now_ms()
        await queue.put(Write([NewJob("event", b"x"), NewJob("email", b"y", run_at_ms=now_ms + 60 * SECOND_MS)]))
        site.services.clock.advance(5 * SECOND_MS)
        page = await olga.get("/admin")
        assert "5.0 s" in page.text
        assert '<a class="link" href="/admin/queues/email?state=delayed">1</a>' in page.text
        page = await olga.get("/admin?q=EMA&sort=dead")
        assert "/admin/queues/email" in page.text
        assert "/admin/queues/event" not in page.text
        assert (await olga.get("/admin?every=5")).headers["Refresh"] == "5"
        assert "Refresh" not in (await olga.get("/admin?every=1")).headers

    async def test_a_line_is_stopped_and_goes_on(self, site: Site, olga: Browser) -> None:
        queue = site.services.queue
        await queue.put(Write([NewJob("event", b"x"), NewJob("email", b"y")]))
        page = await act(olga, "/admin/queues/event", "pause")
        assert await queue.paused() == ["event"]
        assert "Paused" in page.text
        await act(olga, "/admin", "pause")
        assert await queue.paused() == ["email", "event"]
        await act(olga, "/admin", "resume")
        await act(olga, "/admin/queues/event", "pause")
        await act(olga, "/admin/queues/event", "resume")
        assert await queue.paused() == []
        assert (await olga.fill("/admin", {"action": "obliterate"}, "/admin")).status == 400

    async def test_jobs_are_paged_newest_first(self, site: Site, olga: Browser) -> None:
        await site.services.queue.put(Write([NewJob("line", b"%d" % number) for number in range(25)]))
        ids = [str(job.id) for job in await site.services.queue.listed("line", State.READY, 99)]
        seen, path = [], "/admin/queues/line?state=ready&size=10"
        for _ in range(3):
            page = await olga.get(path)
            seen += [id_ for id_ in ids if f">{id_}</a>" in page.text]
            path = f"/admin/queues/line?state=ready&size=10&before={seen[-1]}"
        assert seen == ids
        assert "Older" not in page.text
        assert (await olga.get("/admin/queues/line?state=nonsense")).status == 404
        assert (await olga.get("/admin/queues/none")).status == 404

    async def test_a_job_is_seen_run_and_removed(self, site: Site, cast: Cast, olga: Browser) -> None:
        services = site.services
        await visits.event(services, cast.shop, path="/<b>bold</b>\u202egpj.exe\u2028")
        [job] = await services.queue.listed("event", State.READY, 9)
        page = await olga.get(f"/admin/queues/event/jobs/{job.id}")
        assert "&#34;project_id&#34;" in page.text
        assert "<b>bold" not in page.text
        # What turns the rest of a line round is seen, and does not do so.
        assert "\\u202egpj.exe\\u2028" in page.text
        assert not {"\u202e", "\u2028"} & set(page.text)
        [held] = await services.queue.claim("event", 9, 60)
        assert "Remove" not in (await olga.get(f"/admin/queues/event/jobs/{job.id}")).text
        await services.queue.retry([held], 60, "Traceback\nValueError: it broke")
        page = await olga.get(f"/admin/queues/event/jobs/{job.id}")
        assert "ValueError: it broke" in page.text
        await act(olga, f"/admin/queues/event/jobs/{job.id}", "promote")
        assert [one.id for one in await services.queue.listed("event", State.READY, 9)] == [job.id]
        page = await act(olga, f"/admin/queues/event/jobs/{job.id}", "remove")
        assert "Removed." in page.text
        # What somebody removed by hand is no mystery.
        told = await commands.run(services, "verify", {})
        assert (told["erased"], told["difference"]) == (1, 0)
        for path in (f"/admin/queues/event/jobs/{job.id}", "/admin/queues/event/jobs/9" + 30 * "9"):
            assert (await olga.get(path)).status == 404

    async def test_what_happened_to_a_job_is_told(self, site: Site, olga: Browser) -> None:
        [number] = await bury(site, b"a")
        [letter] = await site.services.queue.dead("device", 9)
        told = History(site.services.keys, site.services.clock)
        await told.note([letter], "buried, attempt 6", "here:1", "Traceback\n<script>alert(1)</script>")
        await act(olga, f"/admin/queues/device/dead/{number}", "retry")
        [job] = await site.services.queue.listed("device", State.READY, 9)
        page = await olga.get(f"/admin/queues/device/jobs/{job.id}")
        assert "buried, attempt 6, by here:1" in page.text
        assert "put back in line, by an operator" in page.text
        assert "&lt;script&gt;alert(1)" in page.text
        assert "<script>alert" not in page.text
        file = await olga.get(f"/admin/queues/device/jobs/{job.id}/history")
        assert file.headers["Content-Type"].startswith("text/plain")
        assert file.headers["Content-Disposition"] == f'attachment; filename="device-{job.id}.txt"'
        assert [line.partition("UTC  ")[2] for line in file.text.splitlines() if "UTC" in line] == [
            "put into device",
            "buried, attempt 6, by here:1",
            "put back in line, by an operator",
        ]

    async def test_a_line_is_emptied_after_a_question(self, site: Site, cast: Cast, olga: Browser) -> None:
        services = site.services
        for number in range(3):
            await visits.event(services, cast.shop, path=f"/{number}")
        asked = await olga.get("/admin/queues/event/empty?state=ready")
        assert "counted as erased" in asked.text
        await act(olga, "/admin/queues/event/empty", "ready", "/admin/queues/event/empty?state=ready")
        assert await services.queue.listed("event", State.READY, 9) == []
        assert (await commands.run(services, "verify", {}))["difference"] == 0
        assert (await olga.get("/admin/queues/event/empty?state=claimed")).status == 404

    async def test_emptying_a_line_that_is_never_empty_ends(
        self, site: Site, cast: Cast, olga: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        services, board = site.services, site.services.queue
        discard = board.discard

        async def discard_while_more_come(jobs: Sequence[ListedJob], counters: Mapping[int, str]) -> list[ListedJob]:
            await visits.event(services, cast.shop)
            return await discard(jobs, counters)

        for _ in range(3):
            await visits.event(services, cast.shop)
        # A killed process would have done this or nothing: the count is in the same transaction.
        monkeypatch.setattr(board, "discard", discard_while_more_come)
        await act(olga, "/admin/queues/event/empty", "ready", "/admin/queues/event/empty?state=ready")
        told = await commands.run(services, "verify", {})
        assert (told["accepted"], told["inQueue"], told["erased"], told["difference"]) == (4, 1, 3, 0)

    async def test_all_delayed_jobs_can_run_now(self, site: Site, olga: Browser) -> None:
        queue, later_ms = site.services.queue, site.services.clock.now_ms() + 60 * SECOND_MS
        await queue.put(Write([NewJob("line", b"%d" % number, run_at_ms=later_ms) for number in range(120)]))
        await act(olga, "/admin/queues/line", "promote-all", "/admin/queues/line?state=delayed")
        assert len(await queue.claim("line", 500, 60)) == 120

    async def test_a_job_that_fails_meanwhile_is_not_run_again_and_again(
        self, site: Site, olga: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queue, later_ms = site.services.queue, site.services.clock.now_ms() + 60 * SECOND_MS
        promote = queue.promote
        deliveries: list[int] = []

        async def promote_and_fail(ids: Sequence[int]) -> int:
            done = await promote(ids)
            held = await queue.claim("line", 99, 60)
            deliveries.extend(job.deliveries for job in held)
            assert deliveries == [1]
            await queue.retry(held, 60, "It broke.")
            return done

        await queue.put(Write([NewJob("line", b"x", run_at_ms=later_ms)]))
        monkeypatch.setattr(queue, "promote", promote_and_fail)
        await act(olga, "/admin/queues/line", "promote-all", "/admin/queues/line?state=delayed")


class TestDeadLetters:
    async def test_they_are_seen_retried_and_removed(self, site: Site, olga: Browser) -> None:
        newest, oldest = await bury(site, b"\xc1", b"\xc1")
        page = await olga.get("/admin/dead")
        assert "ValueError: no" in page.text
        page = await olga.get(f"/admin/queues/device/dead/{oldest}")
        assert ">c1<" in page.text
        await act(olga, f"/admin/queues/device/dead/{oldest}", "retry")
        await act(olga, f"/admin/queues/device/dead/{newest}", "remove")
        [stats] = await site.services.queue.stats()
        assert (stats.ready, stats.dead) == (1, 0)
        assert (await olga.get(f"/admin/queues/device/dead/{oldest}")).status == 404

    async def test_an_event_that_is_stored_is_not_counted_as_erased(
        self, site: Site, cast: Cast, olga: Browser
    ) -> None:
        services, board = site.services, site.services.queue
        await visits.event(services, cast.shop)
        await visits.event(services, cast.shop)
        stored, other = await board.claim("event", 9, 60)
        await workers.handlers(services)["event"]([stored], Lease(services.clock, stored.lease_until_ms))
        await board.bury([stored, other], "It broke, the first after it was stored.")
        await act(olga, "/admin/queues/event/empty", "dead", "/admin/queues/event/empty?state=dead")
        told = await commands.run(services, "verify", {})
        assert (told["accepted"], told["stored"], told["erased"], told["difference"]) == (2, 1, 1, 0)

    async def test_an_event_that_is_back_in_line_is_not_counted_as_erased(
        self, site: Site, cast: Cast, olga: Browser, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        services, board = site.services, site.services.queue
        for _ in range(2):
            await visits.event(services, cast.shop)
        await board.bury(await board.claim("event", 9, 60), "It broke.")
        listed = board.dead

        async def listed_and_revived(queue: str, limit: int, before_id: int | None = None) -> list[DeadJob]:
            found = await listed(queue, limit, before_id)
            await board.revive([letter.id for letter in found[:1]])
            return found

        monkeypatch.setattr(board, "dead", listed_and_revived)
        await act(olga, "/admin/queues/event/empty", "dead", "/admin/queues/event/empty?state=dead")
        told = await commands.run(services, "verify", {})
        assert (told["accepted"], told["erased"], told["difference"]) == (2, 1, 0)

    async def test_all_of_them_at_once(self, site: Site, olga: Browser) -> None:
        await bury(site, b"a", b"b", b"c")
        await bury(site, b"d", queue="session")
        await act(olga, "/admin/queues/device", "retry-all", "/admin/queues/device?state=dead")
        assert {one.queue: one.dead for one in await site.services.queue.stats()} == {"device": 0, "session": 1}
        await act(olga, "/admin/dead", "retry-all")
        assert sum(one.dead for one in await site.services.queue.stats()) == 0
        await bury(site, b"d")
        await act(olga, "/admin/queues/device/empty", "dead", "/admin/queues/device/empty?state=dead")
        assert sum(one.dead for one in await site.services.queue.stats()) == 0


async def test_the_schedule_is_seen_and_run(site: Site, olga: Browser) -> None:
    services = site.services
    timetable = Schedule(services.keys, services.clock, workers.schedule(services))
    assert await timetable.run_due() == []
    page = await olga.get("/admin/schedule")
    assert "salt-rotation" in page.text
    assert "never" in page.text
    page = await olga.fill("/admin/schedule", {"action": "run"}, "/admin/schedule/salt-rotation")
    assert page.status == 303
    assert await timetable.run_due() == ["salt-rotation"]
    assert (await schedule.statuses(services.keys))["salt-rotation"].last_ms == services.clock.now_ms()


async def test_letters_are_listed_and_read(site: Site, olga: Browser) -> None:
    letter = await site.services.post.send(letters.try_out(), "ann@example.com")
    page = await olga.get("/admin/mail")
    assert "ann@example.com" in page.text
    assert letter.body_text.splitlines()[0] in (await olga.get(f"/admin/mail/{letter.id}")).text


async def test_the_system_is_told(site: Site, cast: Cast, olga: Browser) -> None:
    services = site.services
    await visits.event(services, cast.shop)
    await visits.settle(services)
    services.meters.asked("query", "SELECT slow", 2.0, services.clock.now_ms())
    services.tap.refused(cast.shop.id, "bot")
    await services.tap.flush()
    page = await olga.get("/admin/system")
    for told in ("SQLite", "ClickHouse", "SELECT slow", "<dt>bot</dt><dd>1</dd>", "Shop", "1 events, "):
        assert told in page.text, told
    assert "; the engine in it may take 700" in page.text


class TestMemoryLimit:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"VEMETRIC_MEMORY_LIMIT": "1200"}

    async def test_it_is_what_memory_is_compared_with(self, olga: Browser) -> None:
        [memory] = re.findall("<dt>Memory</dt><dd>(.*?)</dd>", (await olga.get("/admin/system")).text)
        assert memory.endswith((" of 1.2 GB", " of 1,200.0 MB"))


class TestPassword:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"BULLBOARD_USERNAME": NAME, "BULLBOARD_PASSWORD": PASSWORD}

    async def test_it_is_asked_for_on_every_path(self, site: Site, cast: Cast) -> None:
        paths = [(route.method, route.path) for route in ROUTES if route.access is Access.OPERATOR]
        assert len(paths) > 10
        nobody, bob = site.browser(), await site.browser_of(cast.bob)
        for method, path in paths:
            at = path.format(queue="event", job="1", entry="tips", letter="l")
            if method == "GET":
                page = await nobody.get(at)
                assert (page.status, page.headers["WWW-Authenticate"].partition(" ")[0]) == (401, "Basic"), path
                assert (await bob.get(at)).status == 404, path
            else:
                assert (await nobody.post(at, {"action": "resume"})).status == 403, path

    async def test_it_opens_all_but_what_letters_say(self, site: Site, cast: Cast) -> None:
        board = site.browser()
        board.headers = basic(NAME, PASSWORD)
        await site.services.queue.put(Write([NewJob("event", b"x")]))
        assert "Paused" in (await act(board, "/admin/queues/event", "pause")).text
        letter = await site.services.post.send(letters.try_out(), "ann@example.com")
        page = await board.get("/admin/mail")
        assert "ann@example.com" in page.text
        assert letter.id not in page.text
        assert (await board.get(f"/admin/mail/{letter.id}")).status == 403
        # Nor does an account that is no operator's add anything to it.
        bob = await site.browser_of(cast.bob)
        bob.headers = board.headers
        assert letter.id not in (await bob.get("/admin/mail")).text
        assert (await bob.get(f"/admin/mail/{letter.id}")).status == 403
        for path in ("/", "/account", f"/p/{cast.shop.id}"):
            assert (await board.get(path)).location.startswith("/login"), path

    async def test_wrong_ones_are_counted(self, site: Site) -> None:
        board = site.browser()
        for wrong in (basic(NAME, ""), basic("", PASSWORD), {"Authorization": "Basic ?"}, {"Authorization": "Basic"}):
            assert (await board.get("/admin", wrong)).status == 401
        for _ in range(10):
            last = await board.get("/admin", basic(NAME, "wrong"))
        assert last.status == 429
        # The right one does not help who guesses.
        assert (await board.get("/admin", basic(NAME, PASSWORD))).status == 429
        site.services.clock.advance(60_000)
        for _ in range(15):
            assert (await board.get("/admin", basic(NAME, PASSWORD))).status == 200


class TestReadOnly:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"VEMETRIC_ADMIN_READ_ONLY": "yes"}

    async def test_everything_is_seen_and_nothing_changed(self, site: Site, olga: Browser) -> None:
        await bury(site, b"a")
        for path in ("/admin", "/admin/dead", "/admin/queues/device?state=dead", "/admin/schedule", "/admin/system"):
            page = await olga.get(path)
            assert page.status == 200
            assert 'name="action"' not in page.text, path
        for path in ("/admin", "/admin/dead", "/admin/queues/device"):
            assert (await olga.fill("/admin", {"action": "pause"}, path)).status == 403
        assert await site.services.queue.paused() == []
