-- Visits of a user by their ids: when they were and where they came from.
SELECT
    id, toUnixTimestamp64Milli(startedAt), toUnixTimestamp64Milli(endedAt), referrer, referrerUrl, referrerType
FROM session FINAL
PREWHERE userId = {user:UInt64}
WHERE projectId = {project:UInt64} AND deleted = 0 AND id IN {sessions:Array(String)}
