"""The statements of a merge of users and the conditions of its readers, as text. Run by user_merges.py."""

import struct
from typing import Final

from vemetric.clickhouse import rows as row_columns
from vemetric.model import ids

COMMAND_SECONDS_MAX = 120

COPIES: Final = "copies"
FROM: Final = "from"
SESSION: Final = "session"
# Stands for a session with users whose rows of the table of users stay.
NAMED: Final = "named"
PLAN_COLUMNS: Final = (
    "mergeId", "step", "projectId", "userId", "sessionId", "otherId", "startedAt", "replacedAt", "hidden", "version",
)  # fmt: skip

SETTINGS = f"SETTINGS do_not_merge_across_partitions_select_final = 1, max_execution_time = {COMMAND_SECONDS_MAX}"
K0, K1 = struct.unpack("<QQ", ids.DEVICE_KEY)
INTO = "transform(userId, {froms:Array(UInt64)}, {intos:Array(UInt64)}, userId)"
# As ids.device_id: the parts without separators.
DEVICE_ID = (
    f"sipHash64Keyed((toUInt64({K0}), toUInt64({K1})), concat(toString(projectId), toString({INTO}), "
    "osName, osVersion, clientName, clientVersion, clientType, deviceType))"
)
IDENTIFIER = "transform(userId, {froms:Array(UInt64)}, {identifiers:Array(String)}, '')"
NAME = "transform(userId, {froms:Array(UInt64)}, {names:Array(String)}, '')"
SESSION_COLUMNS = ", ".join(row_columns.SESSION_COLUMNS)

# The tables are sorted by time before user: every statement is told when, and looks for the user first (PREWHERE), so
# that it need not read all columns of all of a project. That may come before FINAL: a row's versions share the user.
BETWEEN = """{column} BETWEEN fromUnixTimestamp64Milli({{first:Int64}}, 'UTC')
        AND fromUnixTimestamp64Milli({{last:Int64}}, 'UTC')"""
CREATED = BETWEEN.format(column="createdAt")
STARTED = BETWEEN.format(column="startedAt")
SPAN = """
SELECT toUnixTimestamp64Milli(min({column})), toUnixTimestamp64Milli(max({column})) FROM {table}
WHERE projectId = {{project:UInt64}} AND userId IN {{users:Array(UInt64)}}
"""
EVENTS_SPAN = SPAN.format(column="createdAt", table="event")
SESSIONS_SPAN = SPAN.format(column="startedAt", table="session")
SESSIONS_NEAR_SPAN = f"""{SESSIONS_SPAN}
    AND (startedAt <= fromUnixTimestamp64Milli({{until:Int64}}, 'UTC')
        AND endedAt >= fromUnixTimestamp64Milli({{since:Int64}}, 'UTC') OR id IN {{ids:Array(String)}})
"""
EVENTS = f"""
SELECT userId, sessionId, toUnixTimestamp64Milli(createdAt) AS at, id FROM event FINAL
PREWHERE userId IN {{users:Array(UInt64)}} WHERE projectId = {{project:UInt64}} AND {CREATED}
    AND (userId, toUnixTimestamp64Milli(createdAt), id) > ({{user:UInt64}}, {{at:Int64}}, {{id:String}})
ORDER BY userId, at, id LIMIT {{limit:UInt64}}
"""  # noqa: S608
SESSIONS = f"""
SELECT {SESSION_COLUMNS} FROM session FINAL
PREWHERE userId IN {{users:Array(UInt64)}} WHERE projectId = {{project:UInt64}} AND deleted = 0 AND {STARTED}
ORDER BY startedAt, id, mergeId
"""  # noqa: S608 - the text holds column names of ours only
SESSIONS_NEAR = f"""
SELECT {SESSION_COLUMNS} FROM session FINAL
PREWHERE userId IN {{users:Array(UInt64)}} WHERE projectId = {{project:UInt64}} AND deleted = 0 AND {STARTED}
    AND (startedAt <= fromUnixTimestamp64Milli({{until:Int64}}, 'UTC')
        AND endedAt >= fromUnixTimestamp64Milli({{since:Int64}}, 'UTC') OR id IN {{ids:Array(String)}})
ORDER BY startedAt, id, mergeId
"""  # noqa: S608
SESSIONS_BY_ID = f"""
SELECT {SESSION_COLUMNS} FROM session FINAL
PREWHERE userId IN {{users:Array(UInt64)}} WHERE projectId = {{project:UInt64}} AND id IN {{ids:Array(String)}}
    AND deleted = 0 AND {STARTED}
"""  # noqa: S608
SESSIONS_WITH_EVENTS = """
SELECT sessionId, toUnixTimestamp64Milli(min(createdAt)), toUnixTimestamp64Milli(max(createdAt)) FROM event FINAL
PREWHERE userId IN {users:Array(UInt64)} WHERE projectId = {project:UInt64} AND sessionId IN {ids:Array(String)}
GROUP BY sessionId
"""
COPY_EVENTS = f"""
INSERT INTO event SELECT * REPLACE (
    {{merge:UInt64}} AS mergeId,
    {INTO} AS userId,
    transform(concat(toString(userId), ':', sessionId), {{old:Array(String)}}, {{new:Array(String)}}, sessionId)
        AS sessionId,
    {DEVICE_ID} AS deviceId,
    if({IDENTIFIER} != '', {IDENTIFIER}, userIdentifier) AS userIdentifier,
    if(userDisplayName != '', userDisplayName, {NAME}) AS userDisplayName)
FROM (
    SELECT * FROM event FINAL
    PREWHERE userId IN {{froms:Array(UInt64)}} WHERE projectId = {{project:UInt64}} AND {CREATED}
        AND toUnixTimestamp64Milli(createdAt) < transform(userId, {{froms:Array(UInt64)}}, {{untils:Array(Int64)}}, 0)
)
{SETTINGS}
"""  # noqa: S608
COPIED_ROWS = f"""
    PREWHERE userId IN {{intos:Array(UInt64)}}
    WHERE projectId = {{project:UInt64}} AND {CREATED} AND mergeId = {{merge:UInt64}}
"""
COUNT_COPIES = f"SELECT count() FROM event FINAL {COPIED_ROWS}"  # noqa: S608
COPY_DEVICES = f"""
INSERT INTO device SELECT * REPLACE ({INTO} AS userId, {DEVICE_ID} AS id)
FROM (SELECT * FROM device FINAL WHERE projectId = {{project:UInt64}} AND userId IN {{froms:Array(UInt64)}})
WHERE ({INTO}, {DEVICE_ID}) NOT IN (
    SELECT userId, id FROM device FINAL WHERE projectId = {{project:UInt64}} AND userId IN {{intos:Array(UInt64)}})
"""  # noqa: S608
DISCARD_EVENTS = f"""
INSERT INTO event SELECT * REPLACE (toInt8(-1) AS sign)
FROM (SELECT * FROM event FINAL {COPIED_ROWS})
{SETTINGS}
"""  # noqa: S608
DISCARD_SESSIONS = """
INSERT INTO session SELECT * REPLACE (1 AS deleted, version + 1 AS version)
FROM (
    SELECT * FROM session FINAL
    PREWHERE userId IN {intos:Array(UInt64)}
    WHERE projectId = {project:UInt64} AND mergeId = {merge:UInt64} AND deleted = 0
)
"""
# Only what was copied: an event of the old user that came later has to be merged by itself.
TAKE_EVENTS_BACK = f"""
INSERT INTO event SELECT * REPLACE (toInt8(-1) AS sign)
FROM (
    SELECT * FROM event FINAL
    PREWHERE userId IN {{froms:Array(UInt64)}} WHERE projectId = {{project:UInt64}} AND {CREATED}
        AND id IN (SELECT id FROM event FINAL {COPIED_ROWS})
)
{SETTINGS}
"""  # noqa: S608
STAYING = """
SELECT userId FROM event WHERE projectId = {project:UInt64} AND userId IN {froms:Array(UInt64)}
GROUP BY userId HAVING sum(sign) > 0
"""
TAKE_DEVICES_BACK = """
INSERT INTO device SELECT * REPLACE (toInt8(-1) AS sign)
FROM (SELECT * FROM device FINAL WHERE projectId = {project:UInt64} AND userId IN {froms:Array(UInt64)})
"""
LEFTOVERS = """
SELECT (SELECT count() FROM device FINAL WHERE projectId = {project:UInt64} AND userId IN {users:Array(UInt64)})
    + (SELECT count() FROM user FINAL
        WHERE projectId = {project:UInt64} AND id IN {users:Array(UInt64)} AND deleted = 0)
"""
TAKE_USERS_BACK = """
INSERT INTO user SELECT * REPLACE (1 AS deleted, version + 1 AS version)
FROM (SELECT * FROM user FINAL WHERE projectId = {project:UInt64} AND id IN {froms:Array(UInt64)} AND deleted = 0)
"""
UNFINISHED = f"SELECT {', '.join(PLAN_COLUMNS)} FROM user_merge FINAL"  # noqa: S608

HIDDEN = "SELECT {columns} FROM user_merge FINAL WHERE step = '{step}' AND hidden = 1"
COPIED = f"mergeId NOT IN ({HIDDEN.format(columns='mergeId', step=COPIES)})"
# The set of single values is asked first: it is much quicker, and nearly nothing is in it.
STAYS = (
    f"({{column}} NOT IN ({HIDDEN.format(columns='userId', step=FROM)}{{of}}) "
    f"OR (projectId, {{column}}) NOT IN ({HIDDEN.format(columns='projectId, userId', step=FROM)}{{of}}))"
)
OF_USER_WHO_STAYS = STAYS.format(column="userId", of="")
USER = "cityHash64(projectId, userId)"
# Whoever goes on after the merge keeps what comes then. A shard that has not heard of the merge hides that too, for it
# is told by the others that the user is hidden. A plan of an older program does not say until when it holds.
UNTIL_NOTED = HIDDEN.format(columns="{columns}", step=FROM) + " AND replacedAt > startedAt"
CAME_AFTERWARDS = (
    f"toUnixTimestamp64Milli(createdAt) >= transform({USER}, "
    f"({UNTIL_NOTED.format(columns=f'arrayPushBack(groupArray({USER}), toUInt64(0))')}), "
    f"({UNTIL_NOTED.format(columns='arrayPushBack(groupArray(toUnixTimestamp64Milli(replacedAt)), toInt64(0))')}), "
    "toInt64(9223372036854775807))"
)
NOT_REPLACED = (
    f"(id NOT IN ({HIDDEN.format(columns='sessionId', step=SESSION)}) OR (projectId, userId, id, mergeId, startedAt) "
    f"NOT IN ({HIDDEN.format(columns='projectId, userId, sessionId, otherId, startedAt', step=SESSION)}))"
)
# What readers add to every table while a merge is under way, in the words of the setting additional_table_filters.
READER_FILTERS: Final = {
    "event": f"{COPIED} AND ({OF_USER_WHO_STAYS} OR {CAME_AFTERWARDS})",
    "session": f"{COPIED} AND {NOT_REPLACED}",
    "device": OF_USER_WHO_STAYS,
    "user": STAYS.format(column="id", of=f" AND sessionId != '{NAMED}'"),
}
