-- The most frequent values of a column of visits, for suggestions.
SELECT value
FROM
(
    SELECT /*value{*/ referrer /*}*/ AS value
    FROM session FINAL
    WHERE projectId = {project:UInt64}
        AND startedAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
        AND startedAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
        AND deleted = 0
        AND /*rows{*/ true /*}*/
)
WHERE value != ''
GROUP BY value
ORDER BY /*order{*/ count() DESC, value /*}*/
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
SETTINGS max_block_size = 8192
