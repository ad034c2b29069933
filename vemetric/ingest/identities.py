"""Who an identifier stands for: the identity table, a cache over it, and the claims of identities still to be written.

A new identity is put as a job first, together with its claim; workers/create_user.py writes the row. Until then the
claim says who the identifier is.
"""

import asyncio
import hashlib
from collections.abc import Collection, Iterable
from typing import NamedTuple

import msgspec

from vemetric import errors
from vemetric.clock import Clock
from vemetric.database import identities as stored_identities
from vemetric.database.database import Database
from vemetric.ingest import jobs
from vemetric.ingest.believed import BELIEVED_MS, Believed
from vemetric.ingest.jobs import CreateUserJob
from vemetric.ingest.patience import HELD_MS, Patience
from vemetric.ingest.turns import Turns
from vemetric.model import geo, ids
from vemetric.queues.job import KeySet, Write
from vemetric.queues.keys import Keys
from vemetric.queues.queue import Queue

CACHED_IDENTITIES_MAX = 50_000
# Longer ones are nobody's address or name; keeping them would only let a stranger fill the memory.
CACHED_CHARACTERS_MAX = 256
CLAIMS_LOADED_MAX = 100_000
CLAIMS_SCANNED_MAX = 10_000
# Other processes look at claims before they look at the table; this long they may still see one that is written.
SETTLED_CLAIM_MS = 600_000
CLAIM_PREFIX = "identity:"
# Who was forgotten, for longer than anybody who cannot ask the database goes by what was read before; clocks differ.
FORGOTTEN_PREFIX = "forgotten:"
FORGOTTEN_MS = HELD_MS + 600_000
IDENTIFYING_TURN_PREFIX = "identification"
# How often, and for how long at most, a server's hit looks whether another process has made its user.
POLL_SECONDS, POLLS_MAX = 0.1, 50


class Claim(NamedTuple):
    """A user and the identifier it is known by."""

    project_id: int
    user_id: int
    identifier: str


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Claim)


class Identities:
    """Identifier to user id and back. An identity never changes once it is made, so only found ones are cached.

    exclusive: no other process makes or erases identities, so a claim that is not in memory does not exist.
    """

    def __init__(self, database: Database, queue: Queue, keys: Keys, clock: Clock, *, exclusive: bool) -> None:
        self._patience = Patience(database)
        self._queue = queue
        self._keys = keys
        self._clock = clock
        self._exclusive = exclusive
        self._loaded = False
        self.turns = Turns(keys, clock)
        believed_ms = None if exclusive else BELIEVED_MS
        self._users: Believed[tuple[int, str], int] = Believed(clock, CACHED_IDENTITIES_MAX, believed_ms)
        self._identifiers: Believed[tuple[int, int], str] = Believed(clock, CACHED_IDENTITIES_MAX, believed_ms)
        self._claimed_users: dict[tuple[int, str], int] = {}
        self._claimed_identifiers: dict[tuple[int, int], str] = {}
        # Raised whenever somebody is forgotten: what was read before that is not remembered after it.
        self._forgotten = 0

    async def load(self) -> None:
        """Take the claims of the last run into memory; where there are too many, they are looked up one by one."""
        found = await self._keys.scan(CLAIM_PREFIX, CLAIMS_LOADED_MAX + 1)
        self._loaded = self._exclusive and len(found) <= CLAIMS_LOADED_MAX
        for _, value in found:
            self._claim(_decoder.decode(value))

    async def by_identifier(self, project_id: int, identifier: str) -> int | None:
        """The user known by this identifier, or None."""
        known = self.at_once(project_id, identifier)
        if known is not None:
            return known
        # The claim first, then the table: whoever settles a claim writes the table before.
        claim = await self._read_claim(_identifier_key(project_id, identifier))
        if claim is not None and claim.identifier == identifier:
            return claim.user_id
        forgotten, now_ms = self._forgotten, self._clock.now_ms()
        held = self._users.last((project_id, identifier), HELD_MS)
        try:
            user_id = await self._patience.read(
                lambda connection: stored_identities.by_identifier(connection, project_id, identifier),
                is_known=held is not None,
            )
        except errors.Unavailable:
            if held is None or await self._was_forgotten(project_id, held):
                raise
            return held
        if user_id is not None and forgotten == self._forgotten:
            self._remember(Claim(project_id, user_id, identifier), now_ms)
        return user_id

    def at_once(self, project_id: int, identifier: str) -> int | None:
        """The user known by this identifier as far as memory tells."""
        key = (project_id, identifier)
        return self._users.get(key) or self._claimed_users.get(key)

    async def by_user(self, project_id: int, user_id: int) -> str | None:
        """The identifier a user is known by, or None for an anonymous one."""
        known = self.lately_known(project_id, user_id)
        if known is not None:
            return known
        claim = await self._read_claim(_user_key(project_id, user_id))
        if claim is not None:
            return claim.identifier
        forgotten, now_ms = self._forgotten, self._clock.now_ms()
        held = self._identifiers.last((project_id, user_id), HELD_MS)
        try:
            identifier = await self._patience.read(
                lambda connection: stored_identities.by_user(connection, project_id, user_id),
                is_known=held is not None,
            )
        except errors.Unavailable:
            if held is None or await self._was_forgotten(project_id, user_id):
                raise
            return held
        if identifier is not None and forgotten == self._forgotten:
            self._remember(Claim(project_id, user_id, identifier), now_ms)
        return identifier

    def lately_known(self, project_id: int, user_id: int) -> str | None:
        """The identifier of a user as far as memory tells: surely where its row is still to be made by this process."""
        key = (project_id, user_id)
        claimed = self._claimed_identifiers.get(key)
        return claimed if claimed is not None else self._identifiers.get(key)

    async def claim_of(self, project_id: int, user_id: int) -> str | None:
        """The identifier of a user whose row is perhaps still to be made."""
        claimed = self._claimed_identifiers.get((project_id, user_id))
        if claimed is not None:
            return claimed
        claim = await self._read_claim(_user_key(project_id, user_id))
        return None if claim is None else claim.identifier

    async def claimed(self, users: Iterable[tuple[int, int]]) -> dict[tuple[int, int], str]:
        """The identifiers of those users (project id, user id) that became known lately, their row perhaps not made."""
        wanted = set(users)
        # Most are nobody: only those that memory names at all are looked at one by one.
        named = (wanted & self._claimed_identifiers.keys()) | self._identifiers.among(wanted)
        found = {key: known for key in named if (known := self.lately_known(*key)) is not None}
        if not self._loaded and len(found) < len(wanted):
            missing = {_user_key(*key): key for key in wanted if key not in found}
            for name, value in (await self._keys.get_many(list(missing))).items():
                found[missing[name]] = _decoder.decode(value).identifier
        return found

    async def forget(self, project_id: int, user_ids: Collection[int]) -> None:
        """Remember these users no more, or nobody's claims in a project if none are named: they were erased."""
        self._forgotten += 1
        for user_id in user_ids:
            if (identifier := self._identifiers.pop((project_id, user_id))) is not None:
                self._users.pop((project_id, identifier))
            if (claimed := self._claimed_identifiers.pop((project_id, user_id), None)) is not None:
                self._claimed_users.pop((project_id, claimed), None)
        if user_ids:
            await self._forget_claims(project_id, user_ids)
            return
        self._claimed_users = {key: of for key, of in self._claimed_users.items() if key[0] != project_id}
        self._claimed_identifiers = {key: of for key, of in self._claimed_identifiers.items() if key[0] != project_id}
        while found := await self._keys.scan(f"{CLAIM_PREFIX}{project_id}:", CLAIMS_SCANNED_MAX):
            for name, _ in found:
                await self._keys.delete(name)

    async def _forget_claims(self, project_id: int, user_ids: Collection[int]) -> None:
        of_users = [_user_key(project_id, user_id) for user_id in user_ids]
        claims = [_decoder.decode(value) for value in (await self._keys.get_many(of_users)).values()]
        by_name = await self._keys.get_many([_identifier_key(project_id, claim.identifier) for claim in claims])
        # Another user may have been the first to bear the name.
        theirs = [name for name, value in by_name.items() if _decoder.decode(value).user_id in user_ids]
        for name in (*of_users, *theirs):
            await self._keys.delete(name)
        if not self._exclusive:
            expires_ms = self._clock.now_ms() + FORGOTTEN_MS
            await self._keys.set([KeySet(_forgotten_key(project_id, one), b"1", expires_ms) for one in user_ids])

    async def of_backend(self, project_id: int, identifier: str, now_ms: int) -> int:
        """The user a server speaks of; made when it is the first time. Of racing requests one makes it."""
        for _ in range(POLLS_MAX):
            known = await self.by_identifier(project_id, identifier)
            if known is not None:
                return known
            async with self.turns.hold(turn_of_identifier(project_id, identifier)) as is_ours:
                if is_ours:
                    known = await self.by_identifier(project_id, identifier)
                    return known if known is not None else await self._made(project_id, identifier, now_ms)
            await asyncio.sleep(POLL_SECONDS)
        # Whoever has the turn has died or is stuck; should it still make a user, the worker merges the two.
        return await self._made(project_id, identifier, now_ms)

    async def _made(self, project_id: int, identifier: str, now_ms: int) -> int:
        job = CreateUserJob(project_id, ids.new_user_id(), identifier, now_ms, geo.UNKNOWN, "", "")
        await self.create(job, Write())
        return job.user_id

    async def create(self, job: CreateUserJob, follow: Write) -> None:
        """Put the job of a new user, and its claim, with what follows from it. Have the identifier's turn."""
        claim = Claim(job.project_id, job.user_id, job.identifier)
        write = Write(jobs=[jobs.create_job(job), *follow.jobs], keys=[*_key_sets(claim, 0), *follow.keys])
        await self._queue.put(write)
        self._claim(claim)

    def settle(self, settled: Iterable[tuple[Claim, int]]) -> list[KeySet]:
        """Identities whose rows are written: each claim with the user it came to. What to write with their jobs' ack.

        Another user than was claimed: the claim gives way to the user that was first.
        """
        sets: list[KeySet] = []
        for claim, user_id in settled:
            self._claimed_users.pop((claim.project_id, claim.identifier), None)
            self._claimed_identifiers.pop((claim.project_id, claim.user_id), None)
            if user_id != claim.user_id:
                self._identifiers.pop((claim.project_id, claim.user_id))
                sets.append(KeySet(_user_key(claim.project_id, claim.user_id), b"", 1))
            truth = claim._replace(user_id=user_id)
            self._remember(truth, self._clock.now_ms())
            sets += _key_sets(truth, self._clock.now_ms() + SETTLED_CLAIM_MS)
        return sets

    async def _was_forgotten(self, project_id: int, user_id: int) -> bool:
        return await self._keys.get(_forgotten_key(project_id, user_id)) is not None

    async def _read_claim(self, name: str) -> Claim | None:
        if self._loaded:
            return None
        value = await self._keys.get(name)
        return None if value is None else _decoder.decode(value)

    def _claim(self, claim: Claim) -> None:
        if not self._exclusive:
            # Another process's worker may settle it, unseen by this one.
            return
        self._claimed_users[claim.project_id, claim.identifier] = claim.user_id
        self._claimed_identifiers[claim.project_id, claim.user_id] = claim.identifier

    def _remember(self, claim: Claim, told_ms: int) -> None:
        if len(claim.identifier) > CACHED_CHARACTERS_MAX:
            return
        self._users.put((claim.project_id, claim.identifier), claim.user_id, told_ms)
        self._identifiers.put((claim.project_id, claim.user_id), claim.identifier, told_ms)


def turn_of_identifier(project_id: int, identifier: str) -> str:
    return f"{IDENTIFYING_TURN_PREFIX}:{project_id}:{_digest(identifier)}"


def turn_of_user(project_id: int, user_id: int) -> str:
    return f"{IDENTIFYING_TURN_PREFIX}-of:{project_id}:{user_id}"


def _key_sets(claim: Claim, expires_ms: int) -> list[KeySet]:
    value = _encoder.encode(claim)
    names = (_identifier_key(claim.project_id, claim.identifier), _user_key(claim.project_id, claim.user_id))
    return [KeySet(name, value, expires_ms) for name in names]


def _identifier_key(project_id: int, identifier: str) -> str:
    return f"{CLAIM_PREFIX}{project_id}:by:{_digest(identifier)}"


def _user_key(project_id: int, user_id: int) -> str:
    return f"{CLAIM_PREFIX}{project_id}:of:{user_id}"


def _forgotten_key(project_id: int, user_id: int) -> str:
    return f"{FORGOTTEN_PREFIX}{project_id}:{user_id}"


def _digest(identifier: str) -> str:
    """Identifiers can be long; a key is not."""
    return hashlib.blake2b(identifier.encode(), digest_size=16).hexdigest()
