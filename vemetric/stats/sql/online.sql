-- How many users did anything since an instant and until another.
SELECT uniqExact(userId) AS users
FROM event FINAL
WHERE projectId = {project:UInt64}
    AND createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND createdAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
