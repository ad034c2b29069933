-- Users, page views and other events of each bucket, and of each window as bucket 0, in one scan of both windows.
SELECT
    window,
    bucket,
    uniqExact(userId) AS users,
    countIf(isPageView = 1) AS pageViews,
    countIf(isPageView = 0) AS events
FROM
(
    SELECT
        userId,
        isPageView,
        roundDown(toUnixTimestamp64Milli(createdAt), {starts:Array(Int64)}) AS bucket,
        if(bucket >= {start:Int64}, 'current', 'previous') AS window
    FROM event FINAL
    WHERE projectId = {project:UInt64}
        AND createdAt >= fromUnixTimestamp64Milli({previousStart:Int64}, 'UTC')
        AND createdAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
        AND (createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
            OR createdAt < fromUnixTimestamp64Milli({previousEnd:Int64}, 'UTC'))
)
GROUP BY window, bucket WITH ROLLUP
SETTINGS max_block_size = 8192
