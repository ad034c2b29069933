-- Whether anything happened lately: how many events there are from {from} until {to}, and of how many users.
SELECT count() AS events, uniqExact(userId) AS users
FROM event FINAL
WHERE projectId = {project:UInt64}
    AND createdAt >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
    AND createdAt < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
