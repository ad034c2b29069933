"""The rows of users as the workers that write them may go on with them. Used by create_user.py and update_user.py."""

from collections.abc import Collection

import msgspec

from vemetric.clickhouse import users
from vemetric.clickhouse.rows import milliseconds
from vemetric.clickhouse.sink import UserKey
from vemetric.clickhouse.user_row import UserRow
from vemetric.services import Services


async def rows(services: Services, keys: Collection[UserKey]) -> dict[UserKey, UserRow]:
    """The current row of each of the users that has one, deleted ones included.

    A row that an erasure is about to remove counts as deleted: written once more, it would outlive the erasure.
    """
    stored = list((await users.rows(services.engine, keys)).items())
    erased = await services.erased.among((key.project_id, key.id, milliseconds(row.createdAt)) for key, row in stored)
    return {
        key: msgspec.structs.replace(row, deleted=1) if position in erased else row
        for position, (key, row) in enumerate(stored)
    }
