-- Where the cities lie that most users came from.
SELECT
    city,
    toStringCutToZero(countryCode) AS country,
    uniqExact(userId) AS users,
    avg(latitude) AS north,
    avg(longitude) AS east
FROM session FINAL
WHERE projectId = {project:UInt64}
    AND startedAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND startedAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    AND deleted = 0
    AND /*users{*/ true /*}*/
    AND /*kept{*/ true /*}*/
    AND latitude IS NOT NULL
    AND longitude IS NOT NULL
    AND lower(trimBoth(city)) NOT IN ('', 'unknown')
GROUP BY city, country
ORDER BY users DESC, city, country
LIMIT {limit:UInt64}
SETTINGS max_block_size = 8192
