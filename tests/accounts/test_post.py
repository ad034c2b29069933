"""Letters on their way: sent once, sent again after a failure, kept where no mail is set up, and found when lost."""

import logging

import pytest

from tests.kit.mail_server import MailServer, text_of
from vemetric import errors
from vemetric.accounts import errands
from vemetric.accounts.post import ATTEMPTS_MAX, KEPT_DAYS, Post
from vemetric.clock import FrozenClock
from vemetric.database.database import Database
from vemetric.mail import letters
from vemetric.mail.mailer import Postponed
from vemetric.mail.smtp import SmtpMailer
from vemetric.model.letter import LetterStatus
from vemetric.queues.sqlite import SqliteQueue

SITE = "https://stats.example.com"
WORDS = letters.reset_password("Mara", f"{SITE}/reset/token", 1)


@pytest.fixture
def post(database: Database, keys: SqliteQueue, clock: FrozenClock, mail: MailServer) -> Post:
    mailer = SmtpMailer("127.0.0.1", mail.port, "none", "stats@example.com")
    return Post(database, keys, clock, mailer, SITE, b"secret")


async def test_a_letter_is_sent_once_and_its_secret_is_not_kept(post: Post, mail: MailServer) -> None:
    letter = await post.send(WORDS, "mara@example.com")
    for _ in range(2):
        await post.deliver(letter.id)
    assert len(mail.letters) == 1
    kept = await post.by_id(letter.id)
    assert (kept.status, kept.attempts, kept.body_text, kept.body_html) == (LetterStatus.SENT, 1, "", "")
    assert kept.message_id == mail.letters[0]["Message-ID"]


async def test_a_letter_that_was_put_off_is_sent_again(post: Post, mail: MailServer) -> None:
    letter = await post.send(WORDS, "mara@example.com")
    mail.answer = "451 later"
    for _ in range(2):
        with pytest.raises(Postponed):
            await post.deliver(letter.id)
    noted = await post.by_id(letter.id)
    assert (noted.status, noted.attempts) == (LetterStatus.WAITING, 2)
    assert noted.error is not None
    assert "451 later" in noted.error
    mail.answer = ""
    await post.deliver(letter.id)
    assert "/reset/token" in text_of(mail.letters[0])
    assert (await post.by_id(letter.id)).status is LetterStatus.SENT


async def test_a_server_that_is_away_costs_no_attempt(post: Post, mail: MailServer) -> None:
    letter = await post.send(WORDS, "mara@example.com")
    await mail.stop()
    for _ in range(ATTEMPTS_MAX + 1):
        with pytest.raises(errors.Unavailable):
            await post.deliver(letter.id)
    assert (await post.by_id(letter.id)).attempts == 0
    await mail.start()
    await post.deliver(letter.id)
    assert len(mail.letters) == 1


@pytest.mark.parametrize("answer", ["550 nobody here", "451 later"])
async def test_what_is_refused_for_good_fails(post: Post, mail: MailServer, answer: str) -> None:
    letter = await post.send(WORDS, "mara@example.com")
    mail.answer = answer
    for _ in range(ATTEMPTS_MAX - 1):
        if (await post.by_id(letter.id)).status is LetterStatus.WAITING:
            try:
                await post.deliver(letter.id)
            except Postponed:
                continue
    await post.deliver(letter.id)
    failed = await post.by_id(letter.id)
    assert failed.status is LetterStatus.FAILED
    assert failed.attempts == (1 if answer.startswith("5") else ATTEMPTS_MAX)
    assert answer in (failed.error or "")


async def test_without_mail_the_operator_reads_it(
    database: Database, keys: SqliteQueue, clock: FrozenClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vemetric.mail")
    post = Post(database, keys, clock, None, SITE, b"secret")
    letter = await post.send(WORDS, "mara@example.com")
    assert [(one.id, one.status) for one in await post.latest(10)] == [(letter.id, LetterStatus.KEPT)]
    assert f"{SITE}/reset/token" in (await post.by_id(letter.id)).body_text
    assert f"{SITE}/reset/token" in caplog.text
    assert await keys.claim(errands.QUEUE, 10, 60) == []


async def test_a_letter_that_lost_its_job_gets_another(post: Post, keys: SqliteQueue, clock: FrozenClock) -> None:
    letter = await post.send(WORDS, "mara@example.com")
    [job] = await keys.claim(errands.QUEUE, 10, 60)
    await keys.ack([job])
    clock.advance(4 * 60_000)
    await post.sweep()
    assert await keys.claim(errands.QUEUE, 10, 60) == []
    clock.advance(2 * 60_000)
    for _ in range(2):
        await post.sweep()
    assert [errands.decode(job.payload) for job in await keys.claim(errands.QUEUE, 10, 60)] == [
        errands.Deliver(letter.id)
    ]


async def test_old_letters_are_forgotten(post: Post, clock: FrozenClock) -> None:
    await post.send(WORDS, "mara@example.com")
    clock.advance(KEPT_DAYS * 86_400_000)
    await post.sweep()
    assert len(await post.latest(10)) == 1
    clock.advance(1)
    await post.sweep()
    assert await post.latest(10) == []


def test_an_unsubscribe_link_is_one_accounts(post: Post, database: Database, keys: SqliteQueue) -> None:
    url = post.unsubscribe_url("mara")
    token = url.removeprefix(f"{SITE}/unsubscribe/")
    assert post.account_to_unsubscribe(token) == "mara"
    other = Post(database, keys, FrozenClock(0), None, SITE, b"another secret")
    for wrong in (f"x{token}", token[:-1], token.replace("mara", "anna"), "", "mara", "mara.", "\ud800.x"):
        with pytest.raises(errors.NotFound):
            post.account_to_unsubscribe(wrong)
    with pytest.raises(errors.NotFound):
        other.account_to_unsubscribe(token)
