-- The most frequent values of a column of events, for suggestions.
SELECT value
FROM
(
    SELECT /*value{*/ pathname /*}*/ AS value
    FROM event FINAL
    WHERE projectId = {project:UInt64}
        AND createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
        AND createdAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
        AND /*rows{*/ isPageView = 1 /*}*/
)
WHERE value != ''
GROUP BY value
ORDER BY /*order{*/ count() DESC, value /*}*/
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
SETTINGS max_block_size = 8192
