-- How far users get: for each funnel an array, by step, of how many reach it. One scan of the events for all of them.
SELECT /*counts{*/ [countIf(s0 > 0)] /*}*/
FROM
(
    SELECT userId, /*stages{*/ toUInt8(bitAnd(groupBitOr(m0), 1)) AS s0 /*}*/
    FROM
    (
        SELECT userId, toUnixTimestamp64Milli(createdAt) AS at, /*masks{*/ toUInt32(isPageView) AS m0 /*}*/
        FROM event FINAL
        WHERE projectId = {project:UInt64}
            AND createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
            AND createdAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
            AND /*users{*/ true /*}*/
    )
    WHERE /*fits{*/ m0 > 0 /*}*/
    GROUP BY userId
)
