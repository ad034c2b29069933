-- A page of the users who did anything in the range, with what is known of them, and how many they are in all.
-- `sort` with `isLast` says where a user stands; those of whom it knows nothing come last.
SELECT id, lastSeen, identifier, displayName, country, city, toString(sort), isLast, total
FROM
(
    SELECT
        seen.userId AS id,
        seen.lastSeen AS lastSeen,
        if(known.identifier != '', known.identifier, seen.seenIdentifier) AS identifier,
        if(known.displayName != '', known.displayName, seen.seenName) AS displayName,
        seen.country AS country,
        seen.city AS city,
        lowerUTF8(if(displayName != '', displayName, identifier)) AS name,
        seen.fired AS fired,
        /*sort{*/ lastSeen /*}*/ AS sort,
        /*last{*/ 0 /*}*/ AS isLast,
        count() OVER () AS total
    FROM
    (
        SELECT
            userId,
            toUnixTimestamp64Milli(max(createdAt)) AS lastSeen,
            argMaxIf(userIdentifier, createdAt, userIdentifier != '') AS seenIdentifier,
            argMaxIf(userDisplayName, createdAt, userDisplayName != '') AS seenName,
            argMaxIf(toStringCutToZero(countryCode), createdAt, toStringCutToZero(countryCode) != '') AS country,
            argMaxIf(event.city, createdAt, event.city != '') AS city,
            toUnixTimestamp64Milli(maxIf(createdAt, /*fires{*/ isPageView = 0 /*}*/)) AS fired
        FROM event FINAL
        WHERE projectId = {project:UInt64}
            AND createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
            AND createdAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
            AND /*users{*/ true /*}*/
        GROUP BY userId
    ) AS seen
    LEFT JOIN
    (
        SELECT id, identifier, displayName, customData
        FROM user FINAL
        WHERE projectId = {project:UInt64} AND deleted = 0
    ) AS known ON known.id = seen.userId
    WHERE /*found{*/ true /*}*/
)
WHERE /*after{*/ true /*}*/
ORDER BY isLast, sort /*direction{*/ DESC /*}*/, id
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
SETTINGS max_block_size = 8192
