"""What the command line does, each command a function over the services. The same functions run inside the process,
asked through control.py, and without one, called by cli.py. Arguments and results are plain JSON values.
"""

import resource
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from vemetric import __version__, errors, public_url
from vemetric.accounts import fields, funnels, logins, passwords, projects, removal, setup, signup
from vemetric.accounts.funnels import Drawn
from vemetric.backup import stage
from vemetric.ingest import demo, demo_funnels, jobs
from vemetric.ingest.ledger import Books
from vemetric.model import timespan
from vemetric.model.account import Account
from vemetric.model.dashboard import Card
from vemetric.model.letter import Letter, LetterStatus
from vemetric.model.organization import Role
from vemetric.model.project import DEMO_DOMAIN, Project
from vemetric.queues import history
from vemetric.queues.history import History
from vemetric.queues.job import DeadJob
from vemetric.services import Services
from vemetric.stats import dashboard

Arguments = Mapping[str, Any]
Result = dict[str, Any]

DEAD_JOBS_PAGE = 1000
LETTERS_SHOWN_MAX = 100
JOB_ID_MAX = 2**63 - 1
# A human looks at them one by one.
DEAD_JOBS_SHOWN = 100

# The cards of `stats` by the name they have in its result: which card of the dashboard, broken down by what.
CARDS = {
    "pages": ("pages", "pages"),
    "sources": ("sources", "referrer"),
    "events": ("events", "events"),
    "countries": ("locations", "countries"),
    "browsers": ("clients", "browsers"),
    "devices": ("clients", "devices"),
    "operatingSystems": ("clients", "os"),
}


async def create_account(services: Services, arguments: Arguments) -> Result:
    """email, password, name or None, role."""
    account = await signup.create_account(
        services.database,
        services.clock,
        arguments["email"],
        arguments["password"],
        arguments.get("name"),
        Role(arguments.get("role") or Role.MEMBER),
    )
    return _account(account)


async def reset_password(services: Services, arguments: Arguments) -> Result:
    """email; password, or None for one that is made up and told."""
    password = arguments.get("password")
    new_password = passwords.generate() if password is None else password
    account = await logins.reset_password(services.database, services.clock, arguments["email"], new_password)
    return _account(account) | ({"password": new_password} if password is None else {})


async def list_accounts(services: Services, _: Arguments) -> Result:
    """All accounts."""
    return {"accounts": [_account(account) for account in await signup.everyone(services.database)]}


async def create_project(services: Services, arguments: Arguments) -> Result:
    """name, domain; organization (id or name) and timeZone or None."""
    project = await projects.create_by_operator(
        services.database,
        services.clock,
        arguments["name"],
        arguments["domain"],
        arguments.get("timeZone") or services.config.time_zone,
        arguments.get("organization"),
    )
    services.projects.forget()
    return _project(project)


async def list_projects(services: Services, _: Arguments) -> Result:
    """All projects."""
    return {"projects": [_project(project) for project in await projects.everything(services.database)]}


async def stats(services: Services, arguments: Arguments) -> Result:
    """domain, timespan: the tiles and the top rows of each card."""
    key = arguments.get("timespan") or timespan.DEFAULT
    if key not in timespan.PRESETS:
        allowed = ", ".join(timespan.PRESETS)
        raise errors.Invalid(f"There is no timespan {key}; it must be one of {allowed}.", {"timespan": allowed})
    project = await projects.by_domain(services.database, arguments["domain"])
    range_ = timespan.resolve(timespan.Timespan(key), services.clock.now_ms(), project.time_zone)
    shown = await dashboard.load(services.engine, project, range_)
    cards = {}
    for name, (card, dimension) in CARDS.items():
        found = shown.cards[card]
        if found.dimension != dimension:
            choice = dashboard.Choice(dimension)
            found = await dashboard.load_card(services.engine, project, range_, card, choice)
        cards[name] = _card(found)
    return {
        "domain": project.domain,
        "timespan": key,
        "timeZone": project.time_zone,
        "start": _time(range_.start_ms),
        "end": _time(range_.end_ms),
        **{tile.key: _number(tile.value) for tile in shown.tiles.values()},
        "online": shown.online,
        "cards": cards,
    }


async def verify(services: Services, arguments: Arguments) -> Result:
    """project: a domain, or None for all. Compare what was accepted with what became of it, beside running traffic.

    difference: events that are neither stored, nor waiting, nor dead, nor gone for a known reason, plus those that
    nobody accepted; the answer is final once inQueue is 0. The words are those of ingest/ledger.py. behind: the jobs
    that follow from stored events, of sessions, devices and users of whatever project, and page leaves.
    """
    only = None
    if arguments.get("project"):
        only = (await projects.by_domain(services.database, arguments["project"])).id
    found = await Books(services.database, services.engine, services.queue, services.keys, only).read()
    behind = [line for line in await services.queue.stats() if line.queue != jobs.EVENT_QUEUE]
    return {
        "accepted": found.accepted,
        "stored": found.stored,
        "inQueue": found.in_queue,
        "dead": found.dead,
        "spilled": found.spilled,
        "expired": found.expired,
        "erased": found.erased,
        "repeated": found.repeated,
        "behindInQueue": sum(line.ready + line.delayed + line.claimed for line in behind) + found.leaves,
        "behindDead": sum(line.dead for line in behind),
        "missing": found.missing,
        "surplus": found.surplus,
        "difference": found.difference,
    }


async def setup_link(services: Services, _: Arguments) -> Result:
    """A new link to make the first account."""
    link = await setup.new_link(services.database, services.clock, public_url.of(services.config))
    if link is None:
        raise errors.Conflict("There is an account already, so there is nothing to set up.")
    return {"url": link, "validHours": setup.TOKEN_HOURS}


async def list_dead(services: Services, arguments: Arguments) -> Result:
    """queue or None for all: the newest dead letters, and how many there are."""
    queue = arguments.get("queue")
    found = await services.queue.dead(queue, DEAD_JOBS_SHOWN)
    total = sum(line.dead for line in await services.queue.stats() if queue in (None, line.queue))
    return {"total": total, "jobs": [_dead_job(job) for job in found]}


async def revive_dead(services: Services, arguments: Arguments) -> Result:
    """ids, or all of a queue or of every queue: put them back in line. `left`: how many of them stay dead.

    Those stay whose work was put anew meanwhile, and numbers that no dead letter has.
    """
    ids, queue = arguments.get("ids") or [], arguments.get("queue")
    if bool(ids) == bool(arguments.get("all")):
        raise errors.Invalid("Say which dead letters: their numbers as `vemetric dead list` shows them, or --all.")
    if ids and queue is not None:
        raise errors.Invalid("A number already says which dead letter is meant; --queue goes with --all.")
    told = History(services.keys, services.clock)
    if ids:
        wanted = [id_ for id_ in ids if id_ <= JOB_ID_MAX]
        letters = [letter for id_ in wanted for letter in await services.queue.dead(None, 1, id_ + 1)]
        revived = await services.queue.revive(wanted)
        await told.note([one for one in letters if one.id in wanted], history.REVIVED, history.COMMAND_LINE)
        count = len(set(ids))
        if not revived:
            raise errors.NotFound("There is no such dead letter, or its work was put anew meanwhile.")
        return {"revived": revived, "left": count - revived}
    revived = count = 0
    before_id = None
    while page := await services.queue.dead(queue, DEAD_JOBS_PAGE, before_id):
        revived += await services.queue.revive([job.id for job in page])
        await told.note(page, history.REVIVED, history.COMMAND_LINE)
        count += len(page)
        before_id = page[-1].id
    return {"revived": revived, "left": count - revived}


async def mail_outbox(services: Services, arguments: Arguments) -> Result:
    """letter: the id of one to read, or None for a list of the newest."""
    if arguments.get("letter"):
        return {"letters": [_letter(await services.post.by_id(arguments["letter"]), with_text=True)]}
    newest = await services.post.latest(LETTERS_SHOWN_MAX)
    return {"isMailSetUp": services.post.is_set_up, "letters": [_letter(one, with_text=False) for one in newest]}


async def mail_test(services: Services, arguments: Arguments) -> Result:
    """to: an address. Sends at once, past the queue, so that the answer is the mail server's. isSent: whether it is."""
    address = fields.clean(to=(fields.email, arguments["to"]))["to"]
    letter = await services.post.try_out(address)
    return {"isSent": letter.status is LetterStatus.SENT, "letters": [_letter(letter, with_text=False)]}


async def make_demo(services: Services, arguments: Arguments) -> Result:
    """remove: whether it goes. Makes the demo project with its past days; once more, only goes on with it."""
    if arguments.get("remove"):
        project = await projects.by_domain(services.database, DEMO_DOMAIN)
        await removal.delete_project(services.database, services.queue, services.clock, project.id)
        services.projects.forget()
        return {"isRemoved": True}
    try:
        project = await projects.by_domain(services.database, DEMO_DOMAIN)
    except errors.NotFound:
        project = await projects.create_by_operator(services.database, services.clock, "Tea shop (demo)", DEMO_DOMAIN)
        for made in demo_funnels.FUNNELS:
            drawn = Drawn(made.name, made.icon, made.window_seconds, made.steps)
            await funnels.make(services.database, services.clock, project.id, drawn)
    events = await demo.fill(services.queue, services.keys, services.clock, project)
    return {"isRemoved": False, "events": events, "url": f"{public_url.of(services.config)}/p/{project.id}"}


async def identify(services: Services, _: Arguments) -> Result:
    """What the doctor asks of the process: which program it is, and how many files it may have open."""
    return {"version": __version__, "filesMax": str(resource.getrlimit(resource.RLIMIT_NOFILE)[0])}


async def stage_backup(services: Services, _: Arguments) -> Result:
    """A copy of this moment, staged in the data directory for whoever asked; see backup/stage.py."""
    stores = stage.Stores(services.engine, services.database, services.queue, services.gate)
    return await stage.take(services.config, stores, services.probe)


COMMANDS: dict[str, Callable[[Services, Arguments], Awaitable[Result]]] = {
    "account create": create_account,
    "account reset-password": reset_password,
    "account list": list_accounts,
    "project create": create_project,
    "project list": list_projects,
    "stats": stats,
    "verify": verify,
    "dead list": list_dead,
    "dead revive": revive_dead,
    "mail outbox": mail_outbox,
    "mail test": mail_test,
    "setup-link": setup_link,
    "backup stage": stage_backup,
    "identify": identify,
    "demo": make_demo,
}


async def run(services: Services, command: str, arguments: Arguments) -> Result:
    """Run a command by its name. Raises whatever the command does, Invalid for a name that is none."""
    function = COMMANDS.get(command)
    if function is None:
        raise errors.Invalid(f"There is no command {command}.")
    return await function(services, arguments)


def _dead_job(job: DeadJob) -> Result:
    # Not the payload: it holds what a visitor did.
    return {
        "id": job.id,
        "queue": job.queue,
        "putAt": _time(job.put_at_ms),
        "buriedAt": _time(job.buried_at_ms),
        "deliveries": job.deliveries,
        "failures": job.failures,
        "error": job.error,
    }


def _letter(letter: Letter, with_text: bool) -> Result:
    told = {
        "id": letter.id,
        "kind": letter.kind,
        "to": letter.address,
        "subject": letter.subject,
        "status": letter.status.value,
        "attempts": letter.attempts,
        "error": letter.error,
        "writtenAt": _time(letter.created_at_ms),
        "sentAt": None if letter.sent_at_ms is None else _time(letter.sent_at_ms),
    }
    return told | ({"text": letter.body_text} if with_text else {})


def _account(account: Account) -> Result:
    return {
        "id": account.id,
        "name": account.name,
        "email": account.email,
        "isOperator": account.is_operator,
        "createdAt": _time(account.created_at_ms),
    }


def _project(project: Project) -> Result:
    return {
        # As text: scripts in languages whose numbers are floats would round it.
        "id": str(project.id),
        "name": project.name,
        "domain": project.domain,
        "token": project.token,
        "organizationId": project.organization_id,
        "timeZone": project.time_zone,
        "createdAt": _time(project.created_at_ms),
    }


def _card(card: Card) -> list[Result]:
    return [{"name": row.key, "users": row.users, "count": row.count, "detail": row.detail} for row in card.rows]


def _number(value: float | None) -> float | int | None:
    """Whole figures without a decimal point."""
    return int(value) if value is not None and value == int(value) else value


def _time(at_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
