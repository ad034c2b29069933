-- How many events of a project were stored in each cycle; {starts} are the cycles' beginnings, the last one ends at {to}.
SELECT
    roundDown(toUnixTimestamp64Milli(createdAt), {starts:Array(Int64)}) AS cycle,
    count() AS events
FROM event FINAL
WHERE projectId = {project:UInt64}
    AND createdAt >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
    AND createdAt < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
GROUP BY cycle
