"""Commands over the services, as they run on both sides of the local socket."""

import re

import msgspec
import pytest

from tests.kit import mail_server, visits
from tests.kit.mail_server import MailServer
from vemetric import commands, errors
from vemetric.accounts import logins, setup
from vemetric.clock import FrozenClock
from vemetric.database import erasures
from vemetric.ingest import counts, jobs, ledger
from vemetric.model.project import Project
from vemetric.queues.job import NewJob, Write
from vemetric.services import Services

FIREFOX = logins.Browser("Firefox", "192.0.2.1")


@pytest.fixture
def services(services_at_noon: Services) -> Services:
    return services_at_noon


async def run(services: Services, command: str, **arguments: object) -> commands.Result:
    result = await commands.run(services, command, arguments)
    # What travels over the socket is JSON.
    assert msgspec.json.decode(msgspec.json.encode(result)) == result
    return result


async def test_an_account_can_sign_in_with_its_password(services: Services) -> None:
    made = await run(services, "account create", email="Ann@Example.com", password="correct horse", name="Ann")
    assert made == {
        "id": made["id"],
        "name": "Ann",
        "email": "ann@example.com",
        "isOperator": True,
        "createdAt": "2026-03-10T12:00:00.000Z",
    }
    assert await run(services, "account list") == {"accounts": [made]}
    await logins.sign_in(services.database, services.keys, services.clock, "ann@example.com", "correct horse", FIREFOX)


async def test_a_reset_makes_up_a_password_unless_one_is_given(services: Services) -> None:
    await run(services, "account create", email="ann@example.com", password="correct horse")
    told = (await run(services, "account reset-password", email="ann@example.com"))["password"]
    await logins.sign_in(services.database, services.keys, services.clock, "ann@example.com", told, FIREFOX)
    given = await run(services, "account reset-password", email="ann@example.com", password="battery staple")
    assert "password" not in given
    await logins.sign_in(services.database, services.keys, services.clock, "ann@example.com", "battery staple", FIREFOX)


async def test_a_project_is_known_to_the_hub_at_once(services: Services) -> None:
    made = await run(services, "project create", name="Shop", domain="https://www.shop.example/", timeZone="Asia/Tokyo")
    assert (made["name"], made["domain"], made["timeZone"]) == ("Shop", "shop.example", "Asia/Tokyo")
    project = await services.projects.by_token(made["token"])
    assert project is not None
    assert str(project.id) == made["id"]
    assert await run(services, "project list") == {"projects": [made]}


class TestDefaultTimeZone:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"VEMETRIC_TIME_ZONE": "Europe/Vienna"}

    async def test_is_the_configured_one(self, services: Services) -> None:
        made = await run(services, "project create", name="Shop", domain="shop.example", timeZone=None)
        assert made["timeZone"] == "Europe/Vienna"


class TestSetupLink:
    @pytest.fixture
    def environ(self, environ: dict[str, str]) -> dict[str, str]:
        return environ | {"VEMETRIC_PUBLIC_URL": "https://stats.example.com/"}

    async def test_works_until_there_is_an_account(self, services: Services) -> None:
        told = await run(services, "setup-link")
        token = re.fullmatch(r"https://stats\.example\.com/setup/([\w-]{43})", told["url"])
        assert token is not None
        assert await setup.is_valid(services.database, services.clock, token.group(1))
        await run(services, "account create", email="ann@example.com", password="correct horse")
        with pytest.raises(errors.Conflict):
            await run(services, "setup-link")


class TestMail:
    async def test_letters_are_kept_for_the_operator(self, services: Services) -> None:
        told = await run(services, "mail test", to="Ann@Example.com")
        [letter] = told["letters"]
        assert told["isSent"] is False
        assert (letter["to"], letter["status"], letter["subject"]) == ("ann@example.com", "kept", "Mail works")
        listed = await run(services, "mail outbox")
        assert (listed["isMailSetUp"], [one["id"] for one in listed["letters"]]) == (False, [letter["id"]])
        [read] = (await run(services, "mail outbox", letter=letter["id"]))["letters"]
        assert "This server can send letters" in read["text"]
        with pytest.raises(errors.NotFound):
            await run(services, "mail outbox", letter="nonsense")
        with pytest.raises(errors.Invalid):
            await run(services, "mail test", to="nonsense")

    class TestSetUp:
        @pytest.fixture
        def environ(self, environ: dict[str, str], mail: MailServer) -> dict[str, str]:
            return environ | mail_server.settings(mail)

        async def test_says_what_the_mail_server_said(self, services: Services, mail: MailServer) -> None:
            told = await run(services, "mail test", to="ann@example.com")
            assert (told["isSent"], told["letters"][0]["status"]) == (True, "sent")
            mail.answer = "451 later"
            told = await run(services, "mail test", to="ann@example.com")
            [letter] = told["letters"]
            assert (told["isSent"], letter["status"], "451 later" in letter["error"]) == (False, "failed", True)
            await mail.stop()
            [letter] = (await run(services, "mail test", to="ann@example.com"))["letters"]
            assert letter["status"] == "failed"
            assert len(mail.letters) == 1


async def test_stats_count_what_came_through_the_hub(services: Services, clock: FrozenClock) -> None:
    project = await visits.a_project(services, "shop.example", "Europe/Vienna")
    await visits.event(services, project, path="/")
    clock.advance(30_000)
    await visits.event(services, project, path="/pricing")
    await visits.event(services, project, "Signup")
    await visits.event(services, project, path="/", who=visits.sender(project, "203.0.113.8", visits.FIREFOX))
    await visits.settle(services)
    told = await run(services, "stats", domain="www.shop.example", timespan="24hrs")
    assert {key: told[key] for key in ("users", "pageViews", "events", "bounceRate", "visitDuration", "online")} == {
        "users": 2,
        "pageViews": 3,
        "events": 1,
        "bounceRate": 50,
        "visitDuration": 30,
        "online": 2,
    }
    assert (told["domain"], told["timespan"], told["timeZone"]) == ("shop.example", "24hrs", "Europe/Vienna")
    assert told["end"] == "2026-03-10T12:00:30.001Z"
    cards = told["cards"]
    assert cards["pages"][0] == {"name": "/", "users": 2, "count": 2, "detail": "https://shop.example"}
    assert cards["events"] == [{"name": "Signup", "users": 1, "count": 1, "detail": ""}]
    assert {row["name"] for row in cards["browsers"]} == {"Chrome", "Firefox"}
    assert {row["name"] for row in cards["operatingSystems"]} == {"Windows", "Linux"}
    assert sum(row["users"] for row in cards["devices"]) == 2
    assert cards.keys() == commands.CARDS.keys()


async def test_stats_of_nothing_are_nothing(services: Services) -> None:
    project = await visits.a_project(services)
    told = await run(services, "stats", domain=project.domain)
    assert (told["users"], told["pageViews"], told["events"], told["bounceRate"]) == (0, 0, 0, None)
    assert told["cards"]["pages"] == []


async def test_stats_of_an_unknown_timespan_or_domain_are_refused(services: Services) -> None:
    project = await visits.a_project(services)
    with pytest.raises(errors.Invalid, match="24hrs, 7days"):
        await run(services, "stats", domain=project.domain, timespan="2days")
    with pytest.raises(errors.NotFound):
        await run(services, "stats", domain="nowhere.example")


class TestVerify:
    @pytest.fixture
    async def project(self, services: Services) -> Project:
        return await visits.a_project(services)

    async def counts(self, services: Services) -> tuple[int, ...]:
        told = await run(services, "verify")
        assert told["difference"] == told["missing"] + told["surplus"]
        return tuple(told[key] for key in ("accepted", "stored", "inQueue", "dead", "missing", "surplus"))

    async def test_nothing_is_missing_at_any_stage(self, services: Services, project: Project) -> None:
        assert await self.counts(services) == (0, 0, 0, 0, 0, 0)
        for _ in range(3):
            await visits.event(services, project)
        assert await self.counts(services) == (3, 0, 3, 0, 0, 0)
        await visits.settle(services)
        assert await self.counts(services) == (3, 3, 0, 0, 0, 0)

    async def test_one_project_is_looked_at_alone(self, services: Services, project: Project) -> None:
        other = await visits.a_project(services)
        await visits.event(services, project)
        for _ in range(2):
            await visits.event(services, other)
        await visits.settle(services)
        await visits.event(services, other)
        await services.queue.bury(await services.queue.claim(jobs.EVENT_QUEUE, 10, 60), "broken")
        # One of the other's is lost.
        await services.keys.add({jobs.accepted_counter(other.id, services.clock.now_ms()): 1})
        names = ("accepted", "stored", "inQueue", "dead", "missing", "surplus", "difference")
        for domain, expected in (
            (project.domain, (1, 1, 0, 0, 0, 0, 0)),
            (other.domain, (4, 2, 0, 1, 1, 0, 1)),
            (None, (5, 3, 0, 1, 1, 0, 1)),
        ):
            told = await run(services, "verify", project=domain)
            assert tuple(told[name] for name in names) == expected
        with pytest.raises(errors.NotFound):
            await run(services, "verify", project="nowhere.example")

    async def test_what_waits_is_told_by_project_and_without_leaves(self, services: Services, project: Project) -> None:
        other = await visits.a_project(services)
        for _ in range(2):
            await visits.event(services, project)
        for _ in range(3):
            await visits.event(services, other)
        await visits.leave(services, other)
        # The one event that is lost cannot hide behind another project's, or behind a page leave.
        await services.keys.add({jobs.accepted_counter(project.id, services.clock.now_ms()): 1})
        names = ("accepted", "inQueue", "missing", "behindInQueue")
        for domain, expected in ((project.domain, (3, 2, 1, 0)), (other.domain, (3, 3, 0, 1)), (None, (6, 5, 1, 1))):
            told = await run(services, "verify", project=domain)
            assert tuple(told[name] for name in names) == expected

    async def test_of_a_long_line_only_its_length_is_looked_at(
        self, services: Services, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ledger, "LINE_READ_MAX", 1)
        await visits.event(services, project)
        assert await self.counts(services) == (1, 0, 1, 0, 0, 0)
        await visits.leave(services, project)
        assert await self.counts(services) == (1, 0, 2, 0, 0, 0)
        told = await run(services, "verify", project=project.domain)
        assert (told["inQueue"], told["behindInQueue"]) == (1, 1)

    async def test_whatever_became_of_an_event_has_a_line(self, services: Services, project: Project) -> None:
        now_ms = services.clock.now_ms()
        gone = {jobs.expired_counter(project.id, now_ms): 2, jobs.erased_counter(project.id, now_ms): 3}
        taken = {jobs.accepted_counter(project.id, now_ms): 5, jobs.repeated_counter(project.id, now_ms): 4}
        await services.keys.add(gone | taken)
        told = await run(services, "verify", project=project.domain)
        parts = ("stored", "inQueue", "dead", "spilled", "expired", "erased", "repeated")
        assert [told[name] for name in parts] == [0, 0, 0, 0, 2, 3, 4]
        assert told["accepted"] == sum(told[name] for name in parts)
        assert told["difference"] == 0

    async def test_an_event_gone_twice_is_one_too_many(self, services: Services, project: Project) -> None:
        now_ms = services.clock.now_ms()
        await services.keys.add(
            {jobs.accepted_counter(project.id, now_ms): 1, jobs.erased_counter(project.id, now_ms): 2}
        )
        assert await self.counts(services) == (1, 0, 0, 0, 0, 1)

    async def test_what_is_noted_as_leaving_is_not_missing(self, services: Services, project: Project) -> None:
        """A run that removes events was killed before it could count them."""
        now_ms = services.clock.now_ms()
        await services.keys.add({jobs.accepted_counter(project.id, now_ms): 5})

        async def count() -> dict[int, int]:
            return {project.id: 3}

        async def remove() -> None:
            raise errors.StoreError("killed")

        with pytest.raises(errors.StoreError):
            await counts.expire(services.queue, services.keys, services.clock, "rows", count, remove)
        assert await self.counts(services) == (5, 0, 0, 0, 2, 0)
        async with services.database.begin() as connection:
            await erasures.mark(connection, [erasures.Erased(project.id, 7, now_ms)])
            await erasures.set_leaving(connection, project.id, {7: 2})
        assert await self.counts(services) == (5, 0, 0, 0, 0, 0)

    async def test_an_event_revived_between_two_looks_is_not_missing(
        self, services: Services, project: Project, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await visits.event(services, project)
        await services.queue.bury(await services.queue.claim(jobs.EVENT_QUEUE, 10, 60), "broken")
        [letter] = await services.queue.dead(jobs.EVENT_QUEUE, 10)
        line = ledger.Books._line

        async def line_before(books: ledger.Books) -> ledger.Line:
            seen = await line(books)
            await services.queue.revive([letter.id])
            return seen

        monkeypatch.setattr(ledger.Books, "_line", line_before)
        assert (await self.counts(services))[-2:] == (0, 0)

    async def test_leaves_are_no_events(self, services: Services, project: Project) -> None:
        await visits.event(services, project)
        await visits.leave(services, project)
        assert await self.counts(services) == (1, 0, 1, 0, 0, 0)
        await visits.settle(services)
        assert await self.counts(services) == (1, 1, 0, 0, 0, 0)

    async def test_dead_events_are_explained_and_dead_leaves_explain_nothing(
        self, services: Services, project: Project
    ) -> None:
        await visits.event(services, project)
        await visits.leave(services, project)
        # The leave is claimed after its event.
        for _ in range(2):
            await services.queue.bury(await services.queue.claim(jobs.EVENT_QUEUE, 10, 60), "broken")
        assert await self.counts(services) == (1, 0, 0, 1, 0, 0)

    async def test_an_unreadable_dead_job_counts_as_an_event(self, services: Services, project: Project) -> None:
        counter = {jobs.accepted_counter(project.id, services.clock.now_ms()): 1}
        await services.queue.put(Write(jobs=[NewJob(jobs.EVENT_QUEUE, b"\xc1")], counters=counter))
        await services.queue.bury(await services.queue.claim(jobs.EVENT_QUEUE, 10, 60), "unreadable")
        assert await self.counts(services) == (1, 0, 0, 1, 0, 0)

    async def test_a_lost_event_is_missing(self, services: Services, project: Project) -> None:
        await visits.event(services, project)
        await services.queue.ack(await services.queue.claim(jobs.EVENT_QUEUE, 10, 60))
        assert await self.counts(services) == (1, 0, 0, 0, 1, 0)

    async def test_one_too_many_does_not_hide_one_that_is_missing(self, services: Services, project: Project) -> None:
        other = await visits.a_project(services)
        for each in (project, project, other):
            await visits.event(services, each)
        await visits.settle(services)
        now_ms = services.clock.now_ms()
        counters = {jobs.accepted_counter(project.id, now_ms): -1, jobs.accepted_counter(other.id, now_ms): 1}
        await services.keys.add(counters)
        assert await self.counts(services) == (3, 3, 0, 0, 1, 1)


async def test_an_unknown_command_is_refused(services: Services) -> None:
    with pytest.raises(errors.Invalid):
        await run(services, "format the disk")


class TestDeadLetters:
    async def bury(self, services: Services, queue: str, count: int = 1, key: str | None = None) -> None:
        new = [NewJob(queue, b"content", key=key and f"{key}-{number}") for number in range(count)]
        await services.queue.put(Write(jobs=new))
        await services.queue.bury(await services.queue.claim(queue, count, 60), "broken")

    async def test_are_listed_with_why_and_without_what_they_hold(self, services: Services) -> None:
        await self.bury(services, jobs.SESSION_QUEUE)
        await self.bury(services, jobs.DEVICE_QUEUE)
        told = await run(services, "dead list")
        assert [job["queue"] for job in told["jobs"]] == [jobs.DEVICE_QUEUE, jobs.SESSION_QUEUE]
        assert (told["total"], told["jobs"][0]["error"], told["jobs"][0]["failures"]) == (2, "broken", 1)
        assert told["jobs"][0]["buriedAt"] == "2026-03-10T12:00:00.000Z"
        assert "content" not in str(told)
        told = await run(services, "dead list", queue=jobs.SESSION_QUEUE)
        assert (told["total"], len(told["jobs"])) == (1, 1)
        assert await run(services, "dead list", queue="nonsense") == {"total": 0, "jobs": []}

    async def test_no_more_are_listed_than_a_human_looks_at(self, services: Services) -> None:
        await self.bury(services, jobs.DEVICE_QUEUE, commands.DEAD_JOBS_SHOWN + 1)
        told = await run(services, "dead list")
        assert (told["total"], len(told["jobs"])) == (commands.DEAD_JOBS_SHOWN + 1, commands.DEAD_JOBS_SHOWN)

    async def test_come_back_by_their_numbers(self, services: Services) -> None:
        await self.bury(services, jobs.DEVICE_QUEUE, 3)
        ids = [job["id"] for job in (await run(services, "dead list"))["jobs"]]
        assert await run(services, "dead revive", ids=[ids[0], ids[2], 10**9]) == {"revived": 2, "left": 1}
        assert [job["id"] for job in (await run(services, "dead list"))["jobs"]] == [ids[1]]
        revived = await services.queue.claim(jobs.DEVICE_QUEUE, 10, 60)
        assert [(job.payload, job.failures, job.deliveries) for job in revived] == [(b"content", 0, 2)] * 2
        with pytest.raises(errors.NotFound):
            await run(services, "dead revive", ids=[ids[0], 2**63])

    async def test_come_back_all_at_once_however_many(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(commands, "DEAD_JOBS_PAGE", 2)
        await self.bury(services, jobs.DEVICE_QUEUE, 5)
        await self.bury(services, jobs.SESSION_QUEUE, 3, key="k")
        assert await run(services, "dead revive", all=True, queue=jobs.DEVICE_QUEUE) == {"revived": 5, "left": 0}
        await services.queue.put(Write(jobs=[NewJob(jobs.SESSION_QUEUE, b"anew", key="k-1")]))
        assert await run(services, "dead revive", all=True) == {"revived": 2, "left": 1}
        assert (await run(services, "dead list"))["total"] == 1

    @pytest.mark.parametrize("arguments", [{}, {"ids": [1], "all": True}, {"ids": [1], "queue": "event"}])
    async def test_it_must_be_clear_which(self, services: Services, arguments: dict[str, object]) -> None:
        with pytest.raises(errors.Invalid):
            await run(services, "dead revive", **arguments)
