"""The `email` queue with its real pool: letters wait for a mail server that is away, and are sent when it is back."""

import pytest

from tests.kit import mail_server
from tests.kit.mail_server import MailServer, text_of
from vemetric import config, errors, workers
from vemetric.accounts import errands, pictures, signup
from vemetric.mail import letters
from vemetric.queues.job import Job
from vemetric.services import Services
from vemetric.workers.email import EmailWorker


@pytest.fixture
def environ(environ: dict[str, str], mail: MailServer) -> dict[str, str]:
    return environ | mail_server.settings(mail)


async def test_a_letter_outlives_a_mail_server_that_is_away(live_services: Services, mail: MailServer) -> None:
    post = live_services.post
    await mail.stop()
    letter = await post.send(letters.try_out(), "mara@example.com")
    async with workers.running(live_services):
        while (await post.by_id(letter.id)).error is None:
            await live_services.queue.wait(errands.QUEUE, 0.05)
        await mail.start()
        await mail.letter_to("mara@example.com")
    assert (await post.by_id(letter.id)).attempts == 1
    assert len(mail.letters) == 1


async def test_letters_that_are_put_off_are_let_alone_for_a_while(live_services: Services, mail: MailServer) -> None:
    """A batch is tried again in halves: what it begins with would have used up its attempts within a moment."""
    post = live_services.post
    mail.answer = "451 try later"
    written = [await post.send(letters.try_out(), f"{name}@example.com") for name in ("a", "b", "c", "d", "e")]
    async with workers.running(live_services):
        while not all([(await post.by_id(letter.id)).error for letter in written]):
            await live_services.queue.wait(errands.QUEUE, 0.05)
    assert mail.attempts == len(written)
    assert [(await post.by_id(letter.id)).attempts for letter in written] == [1] * len(written)


async def test_a_mail_server_that_is_away_is_given_rest(live_services: Services, mail: MailServer) -> None:
    await mail.stop()
    letter = await live_services.post.send(letters.try_out(), "mara@example.com")
    job = Job(0, errands.QUEUE, errands.encode(errands.Deliver(letter.id)), None, None, 0, 1, 0, 0, 0)
    with pytest.raises(errors.StoreBusy, match="does not answer"):
        await EmailWorker(live_services).handle([job], None)  # type: ignore[arg-type] # it takes no notice of the lease


async def test_an_errand_becomes_a_letter(live_services: Services, mail: MailServer) -> None:
    await signup.create_account(live_services.database, live_services.clock, "mara@example.com", "correct horse")
    for email in ("nobody@example.com", "mara@example.com"):
        await live_services.post.run(errands.Reset(email))
    async with workers.running(live_services):
        assert "/reset/" in text_of(await mail.letter_to("mara@example.com"))
    assert len(mail.letters) == 1


async def test_a_picture_goes_once_its_store_is_back(
    live_services: Services, settings: config.Config, mail: MailServer
) -> None:
    kept, aside = settings.data_dir / "avatars", settings.data_dir / "aside"
    await live_services.pictures.put("me.png", b"me", "image/png")
    kept.rename(aside)
    kept.write_text("in the way")
    await pictures.forget(live_services.pictures, live_services.post, "me.png")
    kept.unlink()
    aside.rename(kept)
    async with workers.running(live_services):
        while await live_services.pictures.get("me.png") is not None:
            await live_services.queue.wait(errands.QUEUE, 0.05)


async def test_a_store_of_pictures_that_is_away_holds_no_letter_up(
    live_services: Services, settings: config.Config, mail: MailServer
) -> None:
    (settings.data_dir / "avatars").write_text("in the way")
    await pictures.forget(live_services.pictures, live_services.post, "me.png")
    await live_services.post.send(letters.try_out(), "mara@example.com")
    async with workers.running(live_services):
        await mail.letter_to("mara@example.com")
