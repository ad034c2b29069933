"""How the log is written: lines for people, or an object a line for machines. Each line of a request of a page bears
the request's id. Addresses and what people typed are not logged, but in letters that are kept for want of mail.
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from urllib.parse import quote

PLAIN, JSON = "plain", "json"
PATH_CHARACTERS = "/:@!$&'()*+,;=~"
QUIET_LIBRARIES = ("aiosqlite", "asyncio")

# The id of the request that is being answered, '' outside of any.
request_id: ContextVar[str] = ContextVar("request_id", default="")


class PlainLines(logging.Formatter):
    """`2026-03-10 12:00:00,000 INFO text`, with the request's id before the text."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(request)s%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        of = request_id.get()
        record.request = f"[{of}] " if of else ""
        return super().format(record)


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, message, and request and error where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if of := request_id.get():
            line["request"] = of
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def escaped(path: str) -> str:
    """A request's path as it may be logged: on one line, whatever was sent."""
    return quote(path, safe=PATH_CHARACTERS)


def set_up(level: str, form: str) -> None:
    """Write the log to standard error. level: a name such as `info`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == JSON else PlainLines())
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for library in QUIET_LIBRARIES:
        # Their debug lines hold bound values: hashes of passwords, salts.
        logging.getLogger(library).setLevel(max(logging.INFO, logging.getLogger().level))
