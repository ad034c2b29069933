"""The `email` queue: letters to send, and errands that may end in one."""

from collections.abc import Sequence

from vemetric import errors
from vemetric.accounts import errands, verification
from vemetric.accounts.errands import Errand
from vemetric.mail.mailer import Postponed
from vemetric.queues.job import Job, Write
from vemetric.queues.lease import Lease
from vemetric.services import Services


class EmailWorker:
    """Does errands one by one. Each is harmless when repeated: a letter that was sent is not sent again."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def handle(self, claimed: Sequence[Job], lease: Lease) -> Write:
        """Do them in order. While the mail server is down the pool waits, and no letter counts as failed."""
        for job in claimed:
            await self._do(errands.decode(job.payload))
        return Write()

    async def _do(self, errand: Errand) -> None:
        services = self._services
        match errand:
            case errands.Deliver():
                await self._deliver(errand.letter_id)
            case errands.Verify():
                await verification.write_code(services.database, services.clock, services.post, errand.email)
            case errands.Reset():
                await verification.write_reset(services.database, services.clock, services.post, errand.email)
            case errands.Tip():
                await services.tips.write(errand)
            case errands.ForgetPicture():
                await self._forget_picture(errand.name)

    async def _deliver(self, letter_id: str) -> None:
        try:
            await self._services.post.deliver(letter_id)
        except errors.Unavailable as error:
            # A mail server is given more rest than our own queue: one that does not know us would lock us out.
            raise errors.StoreBusy(error.message) from error

    async def _forget_picture(self, name: str) -> None:
        try:
            await self._services.pictures.remove(name)
        except errors.Unavailable as error:
            # The pool would wait for it, and letters with it: only this errand is tried again.
            raise Postponed(error.message) from error
