"""The columns of the `user` table in the order in which rows are written. Made by user workers, written by sink.py."""

from typing import Any, Self

import msgspec

from vemetric.clickhouse.rows import timestamp


class UserRow(msgspec.Struct, frozen=True):
    """A row of `user`, for read, change and write. Times as the store's text; customData: a JSON object.

    `version` decides which row of a user counts: the writer raises it with every write.
    """

    deleted: int
    projectId: int
    id: int
    identifier: str
    displayName: str
    createdAt: str
    updatedAt: str
    countryCode: str
    city: str
    initialDeviceId: int
    customData: str
    userAgent: str
    referrer: str
    origin: str
    pathname: str
    queryParams: str
    urlHash: str
    utmSource: str
    utmMedium: str
    utmCampaign: str
    utmContent: str
    utmTerm: str
    firstSeenAt: str
    latitude: float | None
    longitude: float | None
    referrerUrl: str
    referrerType: str
    avatarUrl: str
    version: int

    def to_tuple(self) -> tuple[Any, ...]:
        return msgspec.structs.astuple(self)

    @classmethod
    def from_list(cls, values: list[Any]) -> Self:
        """From a row read in the order of USER_COLUMNS; an absent country reads back as ''."""
        row = cls(*values)
        return msgspec.structs.replace(row, countryCode=row.countryCode.rstrip("\0"))


USER_COLUMNS = UserRow.__struct_fields__


def new_row(project_id: int, user_id: int, identifier: str, created_ms: int) -> UserRow:
    """A user of whom nothing but the identifier is known."""
    at = timestamp(created_ms)
    return UserRow(
        deleted=0, projectId=project_id, id=user_id, identifier=identifier, displayName="", createdAt=at,
        updatedAt=at, countryCode="", city="", initialDeviceId=0, customData="{}", userAgent="", referrer="",
        origin="", pathname="", queryParams="", urlHash="", utmSource="", utmMedium="", utmCampaign="", utmContent="",
        utmTerm="", firstSeenAt=at, latitude=None, longitude=None, referrerUrl="", referrerType="unknown",
        avatarUrl="", version=1,
    )  # fmt: skip
