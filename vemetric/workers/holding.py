"""What is asked right before each insert: that the batch is still this worker's, and that what it is about to store was
not erased since that was asked. Used by the workers.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable

from vemetric.queues.lease import Lease
from vemetric.services import Services

Question = Callable[[], Awaitable[bool]]


def still_held(services: Services, lease: Lease) -> Question:
    """Whether the lease lasts for as long as an insert may take."""

    async def holds() -> bool:
        return lease.still_held(services.config.engine_insert_seconds)

    return holds


def may_insert(
    services: Services, lease: Lease, ask: Callable[[], Awaitable[Iterable[int]]], gone: Collection[int]
) -> Question:
    """That, and whether nothing more of the batch was erased. ask: what of it is gone; gone: what that was before.

    Where that was long ago, because a look-up took its time, it is asked again and the batch not given up: it would
    come again and again, and take as long each time.
    """

    async def holds() -> bool:
        if not lease.still_held(services.config.engine_insert_seconds):
            return False
        if services.erased.may_store():
            return True
        return set(await ask()).issubset(gone) and services.erased.may_store()

    return holds
