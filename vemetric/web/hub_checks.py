"""What is asked of an event beyond its schema, in the order SDKs know: of /e and of each event of /batch."""

from collections.abc import Mapping

from msgspec import UNSET

from vemetric.ingest import hit as hits
from vemetric.ingest import refuse
from vemetric.ingest.hit import EventHit
from vemetric.ingest.refuse import Refusal
from vemetric.model.project import Project
from vemetric.web.hub_answers import Refused

SPECIAL_EVENTS = (hits.PAGE_VIEW, hits.OUTBOUND_LINK)


def check_hit(hit: EventHit, project: Project, headers: Mapping[str, str]) -> None:
    """Refused, if anything speaks against the event. headers: of its request."""
    if refuse.is_prefetch(headers):
        raise Refused(Refusal.PREFETCH, project_id=project.id)
    if hit.name in SPECIAL_EVENTS:
        check_special_event(hit, project)
        if refuse.is_internal_link(hit, project):
            raise Refused(Refusal.INTERNAL_LINK, project_id=project.id)
    if refuse.is_tag_manager_preview(hit):
        raise Refused(Refusal.TAG_MANAGER, project_id=project.id)
    refusal = refuse.excluded_page(project, hit)
    if refusal is not None:
        raise Refused(refusal, project_id=project.id)


def check_special_event(hit: EventHit, project: Project) -> None:
    """What page views and outbound links need beyond the schema."""
    if hit.url is UNSET:
        raise Refused(Refusal.INVALID, 400, f"Missing URL for {hit.name} event", project.id)
    if hit.name == hits.OUTBOUND_LINK and hits.custom_data_href(hit) is None:
        raise Refused(Refusal.INVALID, 400, f"Missing HREF for {hit.name} event", project.id)
