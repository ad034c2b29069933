-- A piece of all events of a range, page views too, in the order in which they happened.
SELECT
    id, toUnixTimestamp64Milli(createdAt) AS at, userId, userIdentifier, sessionId, name, isPageView, origin, pathname,
    urlHash, toStringCutToZero(countryCode) AS country, city, clientName, osName, deviceType, customData
FROM event FINAL
WHERE projectId = {project:UInt64}
    AND createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND createdAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    AND (at, id) > ({afterAt:Int64}, {afterId:String})
    AND /*event{*/ true /*}*/
ORDER BY at, id
LIMIT {limit:UInt64}
SETTINGS max_block_size = 8192
