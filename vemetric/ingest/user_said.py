"""What hits say of users, as the jobs that carry it. Pure; used by accept.py and identify.py."""

import msgspec
from msgspec import UNSET, UnsetType

from vemetric.ingest.hit import EventHit, IdentifyHit, UpdateHit
from vemetric.ingest.jobs import CreateUserJob, UpdateUserJob
from vemetric.ingest.who import Sender
from vemetric.model.geo import Geo
from vemetric.model.user import UserData


def creation(hit: IdentifyHit, project_id: int, user_id: int, place: Geo, now_ms: int) -> CreateUserJob:
    return CreateUserJob(
        project_id, user_id, hit.identifier, now_ms, place, text(hit.display_name) or "", text(hit.avatar_url) or ""
    )


def update(
    hit: IdentifyHit | UpdateHit, project_id: int, user_id: int, identifier: str, now_ms: int
) -> UpdateUserJob | None:
    """What a hit says of its user; None if that is nothing."""
    display_name, avatar_url, data = text(hit.display_name), text(hit.avatar_url), data_text(hit.data)
    if display_name is None and avatar_url is None and data is None:
        return None
    return UpdateUserJob(project_id, user_id, identifier, now_ms, display_name, avatar_url, data)


def with_event(hit: EventHit, sender: Sender, user_id: int, now_ms: int) -> UpdateUserJob | None:
    """What an event says of its user besides; None if nothing. An empty name with an event says nothing.

    A page that names its user repeats with every event the name that it gave when it identified: no news, and by now
    perhaps not the user's name any more.
    """
    if hit.display_name is UNSET and hit.user_data is UNSET:
        return None
    is_repeated = sender.user_identifier is None and bool(sender.identifier)
    display_name, data = None if is_repeated else text(hit.display_name) or None, data_text(hit.user_data)
    if display_name is None and data is None:
        return None
    return UpdateUserJob(sender.project_id, user_id, named_by(sender), now_ms, display_name, data=data)


def named_by(sender: Sender) -> str:
    """By which identifier the sender knows the user, '' if by none. Above it stands the cookie, which is a user's id.

    It may be that nobody is known by it yet: an identification is under way, and decides who is meant.
    """
    return "" if sender.cookie_user_id is not None else sender.user_identifier or sender.identifier or ""


def text(value: str | UnsetType) -> str | None:
    return None if value is UNSET else value


def data_text(data: UserData | UnsetType) -> bytes | None:
    """The data's JSON text; None if it changes nothing, whatever the user's data is."""
    if isinstance(data, UnsetType) or not (data.set or data.set_once or data.unset):
        return None
    return msgspec.json.encode(data)
