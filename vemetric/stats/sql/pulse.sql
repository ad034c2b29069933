-- Whether anything happened lately: how many events there are from {from} until {to}, of how many users, and when the
-- latest one was.
SELECT count() AS events, uniqExact(userId) AS users, toUnixTimestamp64Milli(max(createdAt)) AS last
FROM event FINAL
WHERE projectId = {project:UInt64}
    AND createdAt >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
    AND createdAt < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
