"""A tracked address and where the visitor came from, as they are stored."""

import msgspec


class Page(msgspec.Struct, frozen=True, gc=False):
    """Columns made of an event's url. query_params: JSON object as text, '' when there is no url."""

    origin: str = ""
    pathname: str = ""
    url_hash: str = ""
    query_params: str = ""
    utm_source: str = ""
    utm_medium: str = ""
    utm_campaign: str = ""
    utm_content: str = ""
    utm_term: str = ""


class Referrer(msgspec.Struct, frozen=True, gc=False):
    """Where a visitor came from. type: unknown, search, email, paid, social, llm or direct."""

    name: str = ""
    url: str = ""
    type: str = "unknown"


NO_PAGE = Page()
NO_REFERRER = Referrer()
