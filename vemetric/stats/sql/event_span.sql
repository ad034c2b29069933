-- How many events lie in a range, and when the first and the last one does; stored corrections count apart.
SELECT count() AS events, toUnixTimestamp64Milli(min(createdAt)) AS first, toUnixTimestamp64Milli(max(createdAt)) AS last
FROM event
WHERE projectId = {project:UInt64}
    AND createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND createdAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
