"""Why a hit is not taken. Every refusal has a name, is counted, and is told in a header and in the live tap."""

from collections.abc import Mapping
from enum import StrEnum

from vemetric.enrich import page
from vemetric.ingest.hit import OUTBOUND_LINK, EventHit, custom_data_href
from vemetric.model.project import Project

TAG_MANAGER_PREVIEW = "https://gtm-msr.appspot.com"
PREFETCH_HEADERS = ("x-moz", "x-purpose", "purpose", "sec-purpose")
PREFETCH_WORDS = {
    "x-moz": ("prefetch",),
    "x-purpose": ("prefetch", "preview"),
    "purpose": ("prefetch", "preview"),
    # Sec-Purpose is a structured list: "prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip" (defect 2.5)
    "sec-purpose": ("prefetch", "prerender"),
}


class Refusal(StrEnum):
    """The reasons, as they are counted and shown."""

    BOT = "bot"
    WRONG_TOKEN = "wrong-token"  # noqa: S105 - the name of a reason
    EXCLUDED_IP = "excluded-ip"
    EXCLUDED_COUNTRY = "excluded-country"
    PREFETCH = "prefetch"
    TAG_MANAGER = "tag-manager-preview"
    INTERNAL_LINK = "internal-link"
    MALFORMED = "malformed"
    INVALID = "invalid"
    TOO_LARGE = "too-large"
    TOO_MANY = "too-many"
    LOCALHOST = "localhost"
    NO_SESSION = "no-session"
    NO_USER = "no-user"
    BUSY = "busy"


def is_prefetch(headers: Mapping[str, str]) -> bool:
    """Whether a browser fetched the page ahead of a visit that may never come."""
    for name in PREFETCH_HEADERS:
        value = headers.get(name)
        if value is None:
            continue
        value = value.strip().lower()
        if name == "sec-purpose":
            if any(word.strip() in PREFETCH_WORDS[name] for word in value.replace(",", ";").split(";")):
                return True
        elif value in PREFETCH_WORDS[name]:
            return True
    return False


def is_tag_manager_preview(hit: EventHit) -> bool:
    return isinstance(hit.url, str) and hit.url.startswith(TAG_MANAGER_PREVIEW)


def is_internal_link(hit: EventHit, project: Project) -> bool:
    """Whether an outbound link leads to the project's own domain or one below it."""
    if hit.name != OUTBOUND_LINK:
        return False
    href = custom_data_href(hit)
    return href is not None and page.belongs_to(page.normalized_domain(href), project.domain)
