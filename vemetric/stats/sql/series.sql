-- Users, page views and other events of each bucket, and of each window as bucket 0, in one scan of both windows.
SELECT
    window,
    bucket,
    uniqExact(userId) AS users,
    countIf(isView) AS pageViews,
    countIf(isEvent) AS events
FROM
(
    SELECT
        userId,
        isPageView = 1 AND /*pageRows{*/ true /*}*/ AS isView,
        isPageView = 0 AND /*eventRows{*/ true /*}*/ AS isEvent,
        roundDown(toUnixTimestamp64Milli(createdAt), {starts:Array(Int64)}) AS bucket,
        if(bucket >= {start:Int64}, 'current', 'previous') AS window
    FROM event FINAL
    WHERE projectId = {project:UInt64}
        AND createdAt >= fromUnixTimestamp64Milli({previousStart:Int64}, 'UTC')
        AND createdAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
        AND (createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
            OR createdAt < fromUnixTimestamp64Milli({previousEnd:Int64}, 'UTC'))
        AND /*users{*/ true /*}*/
)
GROUP BY window, bucket WITH ROLLUP
SETTINGS max_block_size = 8192
