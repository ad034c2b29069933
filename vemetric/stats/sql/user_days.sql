-- How many events of a user lie in each of the days that start at {starts}.
SELECT roundDown(toUnixTimestamp64Milli(createdAt), {starts:Array(Int64)}) AS day, count() AS events
FROM event FINAL
PREWHERE userId = {user:UInt64}
WHERE projectId = {project:UInt64}
    AND createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND createdAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
GROUP BY day
