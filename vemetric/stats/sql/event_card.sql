-- One page of a card over events: users and count of each key, the largest first, with the size of the whole card.
SELECT
    key,
    detail,
    uniqExact(userId) AS users,
    count() AS count,
    count() OVER () AS total,
    max(/*measure{*/ users /*}*/) OVER () AS measureMax
FROM
(
    SELECT userId, /*key{*/ pathname /*}*/ AS key, /*detail{*/ origin /*}*/ AS detail
    FROM event FINAL
    WHERE projectId = {project:UInt64}
        AND createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
        AND createdAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
        AND /*rows{*/ isPageView = 1 /*}*/
        AND /*users{*/ true /*}*/
        AND /*kept{*/ true /*}*/
)
WHERE /*found{*/ true /*}*/
GROUP BY key, detail
ORDER BY /*order{*/ users DESC, count DESC /*}*/, key, detail
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
SETTINGS max_block_size = 8192
