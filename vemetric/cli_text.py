"""Results of commands as text for a terminal. The same values as with --json, fewer of them."""

from collections.abc import Callable, Sequence
from typing import Any

from vemetric.model import text as model_text
from vemetric.stats import text

Result = dict[str, Any]

TILES: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "users": ("Users", text.number),
    "pageViews": ("Page views", text.number),
    "bounceRate": ("Bounce rate", text.percent),
    "visitDuration": ("Visit duration", text.duration),
    "events": ("Events", text.number),
    "online": ("Online now", text.number),
}
CARDS = {
    "pages": ("Top pages", "view"),
    "sources": ("Top sources", ""),
    "events": ("Events", "time"),
    "countries": ("Countries", ""),
    "browsers": ("Browsers", ""),
    "devices": ("Devices", ""),
    "operatingSystems": ("Operating systems", ""),
}
# A terminal is not much wider.
NAME_LENGTH_MAX = 80
NO_MAIL = "no mail is set up (SMTP_HOST or POSTMARK_SERVER_API_TOKEN); it is kept (vemetric mail outbox)."
# What a row without a name stands for.
NAMELESS = {"sources": "Direct / None"}


def of(command: str, result: Result) -> str:
    """The text of a command's result."""
    return FORMATS[command](result)


def account(result: Result) -> str:
    role = " (operator)" if result["isOperator"] else ""
    return f"{result['email']}  {result['name']}{role}"


def reset(result: Result) -> str:
    made = f" It is {result['password']}" if "password" in result else ""
    return f"{result['email']} has a new password.{made}"


def accounts(result: Result) -> str:
    return table([[one["email"], one["name"], "operator" if one["isOperator"] else ""] for one in result["accounts"]])


def project(result: Result) -> str:
    return table([[label, result[key]] for label, key in PROJECT])


def projects(result: Result) -> str:
    return table([[one["domain"], one["name"], one["id"], one["token"]] for one in result["projects"]])


def stats(result: Result) -> str:
    blocks = [f"{result['domain']}, {result['timespan']}, {result['timeZone']}"]
    blocks.append(table([[label, shown(result[key])] for key, (label, shown) in TILES.items()]))
    for key, (label, unit) in CARDS.items():
        nameless = NAMELESS.get(key, "Unknown")
        found = [_with_host(row, result["domain"]) if key == "pages" else row for row in result["cards"][key]]
        if rows := [_row(row, nameless, unit) for row in found]:
            blocks.append(f"{label}\n{table(rows)}")
    return "\n\n".join(blocks)


def _with_host(page: Result, domain: str) -> Result:
    """The page with its host before its path, where that is another than the project's own."""
    host = page["detail"].partition("://")[2]
    return page if host in ("", domain) else page | {"name": host + (page["name"] or "/")}


def _row(row: Result, nameless: str, unit: str) -> list[str]:
    cells = [model_text.shown(row["name"], NAME_LENGTH_MAX) or nameless, counted(row["users"], "user")]
    return [*cells, counted(row["count"], unit)] if unit else cells


def counted(count: int, unit: str) -> str:
    """Such as 1 view, 2 views."""
    return f"{text.number(count)} {unit}{'' if count == 1 else 's'}"


def _last_line(error: str) -> str:
    """What was raised; the lines above it say where."""
    lines = error.strip().splitlines()
    return model_text.shown(lines[-1], NAME_LENGTH_MAX) if lines else ""


def verify(result: Result) -> str:
    counts = table([[label, str(result[key])] for label, key in VERIFY])
    if result["difference"]:
        return f"{counts}\n{counted(result['missing'], 'event')} missing, {text.number(result['surplus'])} too many."
    return f"{counts}\nNothing is missing and nothing is there twice."


def dead(result: Result) -> str:
    lines = [[str(job["id"]), job["queue"], job["buriedAt"], _last_line(job["error"])] for job in result["jobs"]]
    if not lines:
        return "There are no dead letters."
    more = result["total"] - len(lines)
    return table(lines) + (f"\nand {text.number(more)} older." if more > 0 else "")


def revived(result: Result) -> str:
    left = f" {text.number(result['left'])} stayed dead." if result["left"] else ""
    return f"{counted(result['revived'], 'dead letter')} put back in line.{left}"


def config(result: Result) -> str:
    return table(
        [[one["name"], one["value"] or "-", "set" if one["isSet"] else "default"] for one in result["settings"]]
    )


def healthcheck(result: Result) -> str:
    return f"{result['url']} answers."


def setup_link(result: Result) -> str:
    return f"Create the first account within {result['validHours']} hours: {result['url']}"


def outbox(result: Result) -> str:
    """The letters, newest first; of one that was asked for, what it says."""
    letters = result["letters"]
    if len(letters) == 1 and "text" in letters[0]:
        [letter] = letters
        return letter["text"] or "It was sent, and what it said is not kept."
    if not letters:
        return "No letter was written yet."
    return table([[one["id"], one["status"], one["writtenAt"], one["to"], one["subject"]] for one in letters])


def tried(result: Result) -> str:
    """What became of the letter that tries mail out."""
    [letter] = result["letters"]
    if letter["status"] == "sent":
        return f"The mail server took the letter to {letter['to']}."
    return f"The letter to {letter['to']} was not sent: {letter['error'] or NO_MAIL}"


def table(rows: Sequence[Sequence[str]]) -> str:
    """The rows under each other, their columns aligned."""
    if not rows:
        return "None yet."
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


PROJECT = (("Domain", "domain"), ("Name", "name"), ("Id", "id"), ("Token", "token"), ("Time zone", "timeZone"))
VERIFY = (
    ("Accepted", "accepted"),
    ("Stored", "stored"),
    ("In queue", "inQueue"),
    ("Dead", "dead"),
    ("Spilled", "spilled"),
    ("Expired", "expired"),
    ("Erased", "erased"),
    ("Repeated", "repeated"),
    ("Session and device jobs in queue", "behindInQueue"),
    ("Session and device jobs dead", "behindDead"),
)


def moved(result: Result) -> str:
    """What was compared, and the settings in the form a shell and an env file take."""
    rows = [[one["store"], one["table"], f"{one['rows']:,}", one["checksum"]] for one in result["compared"]]
    settings = [f"{name}={address}" for name, address in result["settings"].items()]
    told = [
        "Both sides are equal:",
        table(rows),
        "",
        "Start the server with these settings from now on; the files may be deleted once it runs:",
        *settings,
    ]
    return "\n".join(told)


def backed_up(result: Result) -> str:
    """Where the backup is, and what is left for the operator to do."""
    told = [
        f"{result['folder']} holds {text.number(result['events'])} events in {result['files']} files, "
        f"{megabytes(result['bytes'])}. It was read again and opened: it can be restored."
    ]
    if result["onServers"]:
        told += ["", "Not part of it are the stores on servers; back them up with their own tools, workers stopped:"]
        told += [f"  {one['setting']}  {one['yourPart']}" for one in result["onServers"]]
    return "\n".join(told)


def restored(result: Result) -> str:
    """What the data directory holds now."""
    told = [f"The data directory holds the backup: {text.number(result['events'])} events."]
    if result["replaced"]:
        told.append(f"What it held before is in {result['replaced']}; delete that once all is well.")
    if result["onServers"]:
        told.append(f"Restore the stores on servers too: {', '.join(result['onServers'])}.")
    return "\n".join(told)


def demo(result: Result) -> str:
    """Where the demo is."""
    if result["isRemoved"]:
        return "The demo is deleted; its rows follow within minutes."
    return f"{text.number(result['events'])} events of the demo wait in line: {result['url']}"


def doctor(result: Result) -> str:
    """Each finding with what mends it."""
    told = [f"{one['level'].upper()}  {one['what']}\n  {one['fix']}" for one in result["findings"]]
    if not result["problems"]:
        beside = "the running process" if result["isRunning"] else "no process runs"
        told.append(f"{result['checks']} checks found no problem ({beside}).")
    return "\n".join(told)


def megabytes(size: int) -> str:
    return f"{size / 1_000_000:,.1f} MB"


FORMATS: dict[str, Callable[[Result], str]] = {
    "account create": account,
    "account reset-password": reset,
    "account list": accounts,
    "project create": project,
    "project list": projects,
    "stats": stats,
    "verify": verify,
    "dead list": dead,
    "dead revive": revived,
    "move": moved,
    "backup": backed_up,
    "doctor": doctor,
    "demo": demo,
    "restore": restored,
    "config": config,
    "healthcheck": healthcheck,
    "setup-link": setup_link,
    "mail outbox": outbox,
    "mail test": tried,
}
