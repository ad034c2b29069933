-- Visits by the bucket they start in, and of each window as bucket 0; page views count over a visit's whole life.
SELECT
    window,
    bucket,
    count() AS visits,
    countIf(views > 0) AS viewing,
    countIf(views = 1) AS bounces,
    sum(views) AS viewsTotal,
    countIf(seconds > 0) AS lasting,
    sum(seconds) AS secondsTotal
FROM
(
    SELECT
        max(startMs) AS visitStartMs,
        max(duration) AS seconds,
        sum(pageView) AS views,
        roundDown(visitStartMs, {starts:Array(Int64)}) AS bucket,
        if(bucket >= {start:Int64}, 'current', 'previous') AS window
    FROM
    (
        SELECT sipHash128(id) AS visit, toUnixTimestamp64Milli(startedAt) AS startMs, duration, 0 AS pageView
        FROM session FINAL
        WHERE projectId = {project:UInt64}
            AND startedAt >= fromUnixTimestamp64Milli({previousStart:Int64}, 'UTC')
            AND startedAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
            AND (startedAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
                OR startedAt < fromUnixTimestamp64Milli({previousEnd:Int64}, 'UTC'))
            AND deleted = 0
        UNION ALL
        SELECT sipHash128(sessionId) AS visit, 0 AS startMs, 0 AS duration, 1 AS pageView
        FROM event FINAL
        WHERE projectId = {project:UInt64}
            AND createdAt >= fromUnixTimestamp64Milli({previousStart:Int64}, 'UTC')
            -- A visit that starts in time may go on beyond the end.
            AND createdAt <= (
                SELECT greatest(max(endedAt), fromUnixTimestamp64Milli({end:Int64}, 'UTC'))
                FROM session
                WHERE projectId = {project:UInt64}
                    AND startedAt >= fromUnixTimestamp64Milli({previousStart:Int64}, 'UTC')
                    AND startedAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
            )
            AND isPageView = 1
    )
    GROUP BY visit
    HAVING visitStartMs > 0
)
GROUP BY window, bucket WITH ROLLUP
SETTINGS do_not_merge_across_partitions_select_final = 1
