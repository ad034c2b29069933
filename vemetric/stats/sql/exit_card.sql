-- One page of the card of exit pages: the last page of each visit that starts in the range, over its whole life.
SELECT
    key,
    detail,
    uniqExact(user) AS users,
    count() AS count,
    count() OVER () AS total,
    max(users) OVER () AS measureMax
FROM
(
    SELECT
        max(userId) AS user,
        argMax((path, host), (at, event)) AS page,
        page.1 AS key,
        page.2 AS detail
    FROM
    (
        SELECT cityHash64(id) AS visit, userId, toUnixTimestamp64Milli(startedAt) AS startMs, 0 AS at, '' AS event, '' AS path, '' AS host
        FROM session FINAL
        WHERE projectId = {project:UInt64}
            AND startedAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
            AND startedAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
            AND deleted = 0
            AND /*users{*/ true /*}*/
        UNION ALL
        SELECT cityHash64(sessionId) AS visit, 0 AS userId, 0 AS startMs, toUnixTimestamp64Milli(createdAt) AS at, id AS event, pathname AS path, origin AS host
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
            AND isPageView = 1
    )
    GROUP BY visit
    HAVING max(startMs) > 0 AND max(at) > 0
)
WHERE /*found{*/ true /*}*/
GROUP BY key, detail
ORDER BY users DESC, count DESC, key, detail
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
SETTINGS max_block_size = 8192, max_bytes_before_external_group_by = 80000000
