-- A page of the rows of a breakdown: what events say of each key, and what visits that start in the range say of it.
SELECT
    key,
    sum(eventUsers) AS users,
    sum(eventViews) AS pageViews,
    sum(eventOthers) AS events,
    sum(visitCount) AS visits,
    sum(viewingCount) AS viewing,
    sum(bounceCount) AS bounces,
    sum(lastingCount) AS lasting,
    sum(secondsTotal) AS seconds
FROM
(
    SELECT
        key,
        uniqExact(userId) AS eventUsers,
        countIf(isView) AS eventViews,
        countIf(isEvent) AS eventOthers,
        0 AS visitCount, 0 AS viewingCount, 0 AS bounceCount, 0 AS lastingCount, 0 AS secondsTotal
    FROM
    (
        SELECT
            userId,
            toString(/*key{*/ pathname /*}*/) AS key,
            isPageView = 1 AND /*pageRows{*/ true /*}*/ AS isView,
            isPageView = 0 AND /*eventRows{*/ true /*}*/ AS isEvent
        FROM event FINAL
        WHERE projectId = {project:UInt64}
            AND createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
            AND createdAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
            AND /*rows{*/ true /*}*/
            AND /*users{*/ true /*}*/
    )
    GROUP BY key
    UNION ALL
    SELECT
        key, 0, 0, 0, count(), countIf(views > 0), countIf(views = 1 AND /*quiet{*/ true /*}*/), countIf(duration > 0),
        sum(duration)
    FROM
    (
        SELECT
            toString(argMinIf(part, at, isNamed)) AS key,
            max(lasted) AS duration,
            sum(pageView) AS views,
            sum(otherEvent) AS others
        FROM
        (
            SELECT
                cityHash64(id) AS visit, 1 AS isVisit, duration AS lasted, 0 AS pageView, 0 AS otherEvent, 0 AS at,
                toString(/*visitKey{*/ '' /*}*/) AS part, /*visitNames{*/ true /*}*/ AS isNamed
            FROM session FINAL
            WHERE projectId = {project:UInt64}
                AND startedAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
                AND startedAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
                AND deleted = 0
                AND /*withVisits{*/ false /*}*/
                AND /*visitUsers{*/ true /*}*/
            UNION ALL
            SELECT
                cityHash64(sessionId) AS visit, 0 AS isVisit, 0 AS lasted, isPageView AS pageView,
                1 - isPageView AS otherEvent, toUnixTimestamp64Milli(createdAt) AS at,
                toString(/*viewKey{*/ '' /*}*/) AS part, /*viewNames{*/ false /*}*/ AS isNamed
            FROM event FINAL
            WHERE projectId = {project:UInt64}
                AND createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
                -- A visit that starts in time may go on beyond the end.
                AND createdAt <= (
                    SELECT greatest(max(endedAt), fromUnixTimestamp64Milli({end:Int64}, 'UTC'))
                    FROM session
                    WHERE projectId = {project:UInt64}
                        AND startedAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
                        AND startedAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
                )
                AND /*withViews{*/ false /*}*/
        )
        GROUP BY visit
        HAVING max(isVisit) = 1
    )
    GROUP BY key
)
WHERE /*found{*/ true /*}*/
GROUP BY key
HAVING /*counted{*/ users > 0 /*}*/
ORDER BY /*order{*/ users DESC /*}*/, key
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
SETTINGS max_block_size = 8192, max_bytes_before_external_group_by = 80000000
