-- Visits by the bucket they start in, of those that start from {from} until {to}; events count over their whole life.
SELECT
    bucket,
    count() AS visits,
    countIf(views > 0) AS viewing,
    countIf(views = 1 AND /*quiet{*/ true /*}*/) AS bounces,
    sum(views) AS viewsTotal,
    countIf(seconds > 0) AS lasting,
    sum(seconds) AS secondsTotal
FROM
(
    SELECT
        roundDown(max(startMs), {starts:Array(Int64)}) AS bucket,
        max(duration) AS seconds,
        sum(pageView) AS views,
        sum(otherEvent) AS others
    FROM
    (
        -- Of a hundred million visits, two have the same 64-bit hash with a chance of one in four thousand.
        SELECT cityHash64(id) AS visit, toUnixTimestamp64Milli(startedAt) AS startMs, duration, 0 AS pageView, 0 AS otherEvent
        FROM session FINAL
        WHERE projectId = {project:UInt64}
            AND startedAt >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
            AND startedAt < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
            AND (startedAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
                OR startedAt < fromUnixTimestamp64Milli({previousEnd:Int64}, 'UTC'))
            AND deleted = 0
            AND /*users{*/ true /*}*/
        UNION ALL
        SELECT cityHash64(sessionId) AS visit, 0 AS startMs, 0 AS duration, isPageView AS pageView, 1 - isPageView AS otherEvent
        FROM event FINAL
        WHERE projectId = {project:UInt64}
            AND createdAt >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
            -- A visit that starts in time may go on beyond the end.
            AND createdAt <= (
                SELECT greatest(max(endedAt), fromUnixTimestamp64Milli({to:Int64}, 'UTC'))
                FROM session
                WHERE projectId = {project:UInt64}
                    AND startedAt >= fromUnixTimestamp64Milli({from:Int64}, 'UTC')
                    AND startedAt < fromUnixTimestamp64Milli({to:Int64}, 'UTC')
            )
            AND /*events{*/ isPageView = 1 /*}*/
    )
    GROUP BY visit
    HAVING max(startMs) > 0
)
GROUP BY bucket
SETTINGS max_block_size = 8192
