-- How many visits start in the two windows, and when the first and the last one does; stored versions count apart.
SELECT count() AS visits, toUnixTimestamp64Milli(min(startedAt)) AS first, toUnixTimestamp64Milli(max(startedAt)) AS last
FROM session
WHERE projectId = {project:UInt64}
    AND startedAt >= fromUnixTimestamp64Milli({previousStart:Int64}, 'UTC')
    AND startedAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
