-- One page of a card over visits: users and count of each key, most users first, with the size of the whole card.
-- `part` splits a key further; of the details of one key the first by order is told.
SELECT
    key,
    minIf(companion, companion != '') AS detail,
    uniqExact(userId) AS users,
    count() AS count,
    count() OVER () AS total,
    max(users) OVER () AS measureMax
FROM
(
    SELECT
        userId,
        /*key{*/ referrer /*}*/ AS key,
        /*part{*/ '' /*}*/ AS part,
        /*detail{*/ referrerUrl /*}*/ AS companion
    FROM session FINAL
    WHERE projectId = {project:UInt64}
        AND startedAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
        AND startedAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
        AND deleted = 0
        AND /*rows{*/ true /*}*/
        AND /*users{*/ true /*}*/
        AND /*kept{*/ true /*}*/
)
WHERE /*found{*/ true /*}*/
GROUP BY key, part
ORDER BY users DESC, count DESC, key, part
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
SETTINGS max_block_size = 8192
