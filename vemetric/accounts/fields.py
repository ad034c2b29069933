"""What people type into forms and on the command line: cleaned, or refused with a sentence per field."""

import re
from collections.abc import Callable
from typing import Any

from vemetric import errors
from vemetric.enrich import page
from vemetric.model import calendar
from vemetric.model.text import visible

EMAIL_LENGTH_MAX = 254
NAME_LENGTH_MIN = 2
NAME_LENGTH_MAX = 100
DOMAIN_LENGTH_MAX = 253
TOP_LABEL_LENGTH_MIN = 2

# Something before one @, a dotted host behind it: only a letter sent to it proves more.
# What looks like an encoded word of a mail header would be decoded on the way, into another address.
_LOCAL_PART = r"(?!.*=\?)[^\s@\x00-\x1f\x7f\ud800-\udfff<>\"(),:;\[\]\\]{1,64}"
_EMAIL = re.compile(rf"{_LOCAL_PART}@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W\d_][\w-]*[^\W_]")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")


def email(text: str) -> str:
    """The address in lower case, as accounts are found by it; raises ValueError with what is wrong."""
    cleaned = text.strip().lower()
    if len(cleaned) > EMAIL_LENGTH_MAX or visible(cleaned) != cleaned or not _EMAIL.fullmatch(cleaned):
        raise ValueError("This is not an e-mail address.")
    return cleaned


def name(text: str) -> str:
    """A person's, organization's or project's name, without surplus space; raises ValueError with what is wrong.

    It comes in letters to strangers: what cannot be seen is left out, and a link is refused.
    """
    cleaned = " ".join(visible(text).split())
    if _CONTROLS.search(cleaned):
        raise ValueError("A name cannot have control characters.")
    if "://" in cleaned:
        raise ValueError("A name cannot have a link in it.")
    if not NAME_LENGTH_MIN <= len(cleaned) <= NAME_LENGTH_MAX:
        raise ValueError(f"Use {NAME_LENGTH_MIN} to {NAME_LENGTH_MAX} characters.")
    return cleaned


def domain(text: str) -> str:
    """The host name of an address or a bare domain, in lower case without `www.`; ValueError with what is wrong.

    Needs two labels, as example.com has, the last of at least two characters; an international name is kept in its
    ASCII form, which is what browsers send.
    """
    typed = text.strip()
    host = page.normalized_domain(typed if "://" in typed else f"https://{typed}").rstrip(".")
    labels = host.split(".")
    is_host = len(host) <= DOMAIN_LENGTH_MAX and all(_LABEL.fullmatch(label) for label in labels)
    if not is_host or len(labels) < 2 or len(labels[-1]) < TOP_LABEL_LENGTH_MIN:
        raise ValueError("This is not a domain such as example.com.")
    return host


def time_zone(text: str) -> str:
    """The name of a time zone that exists; raises ValueError."""
    cleaned = text.strip()
    if cleaned not in calendar.zone_names():
        raise ValueError("This is not a time zone such as Europe/Vienna.")
    return cleaned


def clean(**typed: tuple[Callable[[str], Any], str]) -> dict[str, Any]:
    """Each field through its rule; raises Invalid that names every field that is wrong, not only the first."""
    cleaned, problems = {}, {}
    for field, (rule, text) in typed.items():
        try:
            cleaned[field] = rule(text)
        except ValueError as error:
            problems[field] = str(error)
    if problems:
        summary = " ".join(f"{_label(field)}: {problem}" for field, problem in problems.items())
        raise errors.Invalid(summary, problems)
    return cleaned


def _label(field: str) -> str:
    """What the pages call a field."""
    return "E-mail" if field == "email" else field.replace("_", " ").capitalize()
