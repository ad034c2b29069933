"""Letters with tips: each when it is due, once, until the goal is reached; and none to those who want none."""

from typing import NamedTuple

import pytest

from tests.kit.mail_server import MailServer
from vemetric.accounts import errands, profile, projects, signup
from vemetric.accounts.post import Post
from vemetric.accounts.tips import Tips
from vemetric.clock import FrozenClock
from vemetric.database import accounts as stored_accounts
from vemetric.database import organizations as stored_organizations
from vemetric.database import projects as stored_projects
from vemetric.database.database import Database
from vemetric.mail.smtp import SmtpMailer
from vemetric.model.account import Account
from vemetric.model.organization import Membership, Organization, Role
from vemetric.queues.sqlite import SqliteQueue

HOUR_MS = 3_600_000


class Stage(NamedTuple):
    """Mara signed up at noon; she is alone."""

    database: Database
    queue: SqliteQueue
    clock: FrozenClock
    post: Post
    tips: Tips
    mara: Account

    async def after(self, hours: float) -> list[str]:
        """The kinds of letters that are written in the hours to come."""
        before = {letter.id for letter in await self.post.latest(100)}
        self.clock.advance(int(hours * HOUR_MS))
        for _ in range(2):
            await self.tips.put_due()
            for job in await self.queue.claim(errands.QUEUE, 100, 60):
                errand = errands.decode(job.payload)
                if isinstance(errand, errands.Tip):
                    await self.tips.write(errand)
                await self.queue.ack([job])
        return sorted(letter.kind for letter in await self.post.latest(100) if letter.id not in before)

    async def has_project(self) -> int:
        async with self.database.begin() as connection:
            await stored_organizations.create(connection, Organization("acme", "Acme", 1))
            await stored_organizations.add_member(connection, Membership(self.mara.id, "acme", Role.ADMIN), 1)
        return (await projects.create(self.database, self.clock, "acme", "Shop", "shop.example.com")).id


@pytest.fixture
async def stage(database: Database, keys: SqliteQueue, clock: FrozenClock, mail: MailServer) -> Stage:
    mailer = SmtpMailer("127.0.0.1", mail.port, "none", "stats@example.com")
    post = Post(database, keys, clock, mailer, "https://stats.example.com", b"secret")
    mara = signup.new_account("mara@example.com", "Mara", False, clock.now_ms())
    async with database.begin() as connection:
        await stored_accounts.create(connection, mara, "no hash")
    return Stage(database, keys, clock, post, Tips(database, keys, clock, post, is_wanted=True), mara)


async def test_without_a_project(stage: Stage) -> None:
    assert await stage.after(23.9) == []
    assert await stage.after(0.1) == ["no-project-1"]
    assert await stage.after(71.9) == []
    assert await stage.after(0.1) == ["no-project-2"]
    assert await stage.after(1000) == []


async def test_a_project_ends_it(stage: Stage) -> None:
    assert await stage.after(24) == ["no-project-1"]
    await stage.has_project()
    assert "no-project-2" not in await stage.after(72)


async def test_a_project_without_events(stage: Stage) -> None:
    await stage.has_project()
    assert await stage.after(47.9) == []
    assert await stage.after(0.1) == ["no-events-1"]
    assert await stage.after(72) == ["no-events-2"]
    assert await stage.after(1000) == []


async def test_the_first_event_ends_it_and_a_week_later_we_ask(stage: Stage) -> None:
    project_id = await stage.has_project()
    assert await stage.after(48) == ["no-events-1"]
    async with stage.database.begin() as connection:
        await stored_projects.set_first_event_at(connection, project_id, stage.clock.now_ms())
    assert await stage.after(72) == []
    assert await stage.after(96) == ["first-event-feedback"]
    assert await stage.after(1000) == []


async def test_a_deleted_project_is_nobodys_matter(stage: Stage) -> None:
    project_id = await stage.has_project()
    assert await stage.after(48) == ["no-events-1"]
    async with stage.database.begin() as connection:
        await stored_projects.delete(connection, project_id)
    assert "no-events-2" not in await stage.after(72)


async def test_who_wants_none_gets_none(stage: Stage) -> None:
    await profile.receive_tips(stage.database, stage.clock, stage.mara.id, False)
    await stage.has_project()
    assert await stage.after(240) == []


async def test_nobody_is_written_to_after_a_long_stop(stage: Stage) -> None:
    assert await stage.after(24 * 16) == []


async def test_a_repeated_job_writes_nothing_twice(stage: Stage) -> None:
    assert await stage.after(24) == ["no-project-1"]
    await stage.tips.write(errands.Tip("no-project", stage.mara.id, 0))
    assert len(await stage.post.latest(10)) == 1


async def test_every_tip_can_be_unsubscribed_from(stage: Stage) -> None:
    await stage.after(24)
    [letter] = await stage.post.latest(10)
    assert letter.unsubscribe_url == stage.post.unsubscribe_url(stage.mara.id)
    assert (letter.account_id, letter.sequence_id is None) == (stage.mara.id, False)


@pytest.mark.parametrize("is_set_up", [True, False])
async def test_switched_off_or_without_mail_there_are_none(stage: Stage, is_set_up: bool) -> None:
    post = stage.post if is_set_up else Post(stage.database, stage.queue, stage.clock, None, "http://x", b"s")
    quiet = Tips(stage.database, stage.queue, stage.clock, post, is_wanted=not is_set_up)
    assert await stage._replace(tips=quiet).after(24) == []
