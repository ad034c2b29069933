"""Letters on their way: each is stored first, then sent by a job of the `email` queue until it is through.

Where no mail is set up a letter is kept instead, for the operator to read, and written to the log.
"""

import base64
import hmac
import logging

import msgspec

from vemetric import errors
from vemetric.accounts import errands
from vemetric.clock import Clock
from vemetric.database import letters as stored_letters
from vemetric.database.database import Connection, Database
from vemetric.mail import letters
from vemetric.mail.letters import Words
from vemetric.mail.mailer import Mailer, Postponed, Refused
from vemetric.model import ids
from vemetric.model.letter import Letter, LetterStatus
from vemetric.queues.job import NewJob, Write
from vemetric.queues.queue import Queue

LETTER_ID_LENGTH = 16
ERROR_LENGTH_MAX = 1000
# How often a mail server may put a letter off.
ATTEMPTS_MAX = 12
# A letter that waits longer than this has no job any more: the process died between storing the two.
FORGOTTEN_AFTER_MS = 5 * 60_000
SWEPT_AT_ONCE_MAX = 500
KEPT_DAYS = 90
DAY_MS = 86_400_000
UNSUBSCRIBE_PATH = "/unsubscribe"
MAC_BYTES = 18

log = logging.getLogger("vemetric.mail")


class Post:
    """Writes and sends letters. `url`: where the links in them lead, never what a request says of its host."""

    def __init__(
        self, database: Database, queue: Queue, clock: Clock, mailer: Mailer | None, url: str, secret: bytes
    ) -> None:
        self._database = database
        self._queue = queue
        self._clock = clock
        self._mailer = mailer
        self._secret = secret
        self.url = url

    @property
    def is_set_up(self) -> bool:
        """Whether letters leave this machine."""
        return self._mailer is not None

    async def send(self, words: Words, address: str, account_id: str | None = None) -> Letter:
        """Write a letter and let it go. Returns at once; the mail server may be down."""
        async with self._database.begin() as connection:
            letter = await self.write(connection, words, address, account_id)
        await self.dispatch(letter)
        return letter

    async def write(
        self,
        connection: Connection,
        words: Words,
        address: str,
        account_id: str | None = None,
        sequence_id: str | None = None,
    ) -> Letter:
        """Store a letter with whatever else the transaction changes; dispatch it when that is done.

        One of a sequence is a tip, which its reader can unsubscribe from.
        """
        is_tip = sequence_id is not None and account_id is not None
        draft = letters.draft(words, self.url, self.unsubscribe_url(account_id) if is_tip and account_id else "")
        letter = Letter(
            id=ids.random_id(LETTER_ID_LENGTH),
            kind=draft.kind,
            address=address,
            subject=draft.subject,
            body_text=draft.body_text,
            body_html=draft.body_html,
            created_at_ms=self._clock.now_ms(),
            unsubscribe_url=draft.unsubscribe_url,
            status=LetterStatus.WAITING if self.is_set_up else LetterStatus.KEPT,
            account_id=account_id,
            sequence_id=sequence_id,
        )
        await stored_letters.create(connection, letter)
        return letter

    async def dispatch(self, letter: Letter) -> None:
        """Have a stored letter sent, or tell the log of it."""
        if letter.status is LetterStatus.KEPT:
            log.info("A letter to %s was kept, for no mail is set up:\n%s", letter.address, letter.body_text)
        else:
            await self._queue.put(Write([deliver_job(letter.id)]))

    async def run(self, errand: errands.Errand) -> None:
        """Leave an errand to the `email` queue, so that a page need not wait, nor show by its time what it found."""
        await self._queue.put(Write([NewJob(errands.QUEUE, errands.encode(errand))]))

    async def deliver(self, letter_id: str) -> None:
        """Send a stored letter, unless it was. Raises Unavailable or Postponed: it is to be tried again."""
        async with self._database.connect() as connection:
            letter = await stored_letters.by_id(connection, letter_id)
        if letter is None or letter.status is not LetterStatus.WAITING:
            return
        if self._mailer is None:
            await self._note(msgspec.structs.replace(letter, status=LetterStatus.KEPT))
            return
        tried = msgspec.structs.replace(letter, attempts=letter.attempts + 1)
        try:
            message_id = await self._mailer.send(letter)
        except errors.Unavailable as error:
            # It was never looked at: that is no attempt.
            await self._note(_failed(letter, error, LetterStatus.WAITING))
            raise
        except Postponed as error:
            is_over = tried.attempts >= ATTEMPTS_MAX
            await self._note(_failed(tried, error, LetterStatus.FAILED if is_over else LetterStatus.WAITING))
            if not is_over:
                raise
        except Refused as error:
            log.warning("A letter (%s) was refused: %s", letter.kind, error.message)
            await self._note(_failed(tried, error, LetterStatus.FAILED))
        else:
            now_ms = self._clock.now_ms()
            await self._note(
                msgspec.structs.replace(
                    tried, status=LetterStatus.SENT, message_id=message_id, error=None, sent_at_ms=now_ms
                )
            )

    async def try_out(self, address: str) -> Letter:
        """Send a letter at once, to see whether mail is set up rightly; returns it with what became of it."""
        async with self._database.begin() as connection:
            letter = await self.write(connection, letters.try_out(), address)
        try:
            await self.deliver(letter.id)
        except (errors.Unavailable, Postponed):
            # The letter has noted why; it shall not come hours later.
            failed = msgspec.structs.replace(await self.by_id(letter.id), status=LetterStatus.FAILED)
            await self._note(failed)
        return await self.by_id(letter.id)

    async def sweep(self) -> None:
        """Give letters that lost their job a new one, and forget old letters. Runs every hour."""
        now_ms = self._clock.now_ms()
        async with self._database.begin() as connection:
            await stored_letters.forget(connection, now_ms - KEPT_DAYS * DAY_MS)
            forgotten = await stored_letters.waiting(connection, now_ms - FORGOTTEN_AFTER_MS, SWEPT_AT_ONCE_MAX)
        await self._queue.put(Write([deliver_job(letter_id) for letter_id in forgotten]))

    async def latest(self, limit: int) -> list[Letter]:
        """The newest letters first, for the operator."""
        async with self._database.connect() as connection:
            return await stored_letters.latest(connection, limit)

    async def by_id(self, letter_id: str) -> Letter:
        """A letter, for the operator. Raises NotFound."""
        async with self._database.connect() as connection:
            letter = await stored_letters.by_id(connection, letter_id)
        if letter is None:
            raise errors.NotFound
        return letter

    def unsubscribe_url(self, account_id: str) -> str:
        """Where an account is freed of tips."""
        return f"{self.url}{UNSUBSCRIBE_PATH}/{account_id}.{self._mac(account_id)}"

    def account_to_unsubscribe(self, token: str) -> str:
        """The account that an unsubscribe link is about; raises NotFound for a link that is not ours."""
        account_id, _, mac = token.partition(".")
        if not hmac.compare_digest(mac.encode("utf-8", "surrogatepass"), self._mac(account_id).encode()):
            raise errors.NotFound
        return account_id

    def _mac(self, account_id: str) -> str:
        digest = hmac.digest(self._secret, b"unsubscribe:" + account_id.encode("utf-8", "surrogatepass"), "sha256")
        return base64.urlsafe_b64encode(digest[:MAC_BYTES]).decode()

    async def _note(self, letter: Letter) -> None:
        async with self._database.begin() as connection:
            await stored_letters.note(connection, letter)


def deliver_job(letter_id: str) -> NewJob:
    """The job that sends a letter; a second one for the same letter is none."""
    return NewJob(errands.QUEUE, errands.encode(errands.Deliver(letter_id)), key=letter_id)


def _failed(letter: Letter, error: errors.VemetricError, status: LetterStatus) -> Letter:
    return msgspec.structs.replace(letter, status=status, error=error.message[:ERROR_LENGTH_MAX])
