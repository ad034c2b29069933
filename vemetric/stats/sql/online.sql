-- How many users did anything from {from} until {to}; filters pick them by the range.
SELECT uniqExact(userId) AS users
FROM event FINAL
WHERE projectId = {project:UInt64}
    AND createdAt >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
    AND createdAt < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
    AND /*users{*/ true /*}*/
