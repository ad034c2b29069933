-- A page of the events that users sent, the latest first; page views are none of them.
SELECT
    id, toUnixTimestamp64Milli(createdAt) AS at, userId, name, origin, pathname, customData, clientName, clientVersion,
    osName, osVersion, deviceType, userIdentifier, userDisplayName, toStringCutToZero(countryCode) AS country, city
FROM event FINAL
WHERE projectId = {project:UInt64}
    AND createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND createdAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    AND (at, id) < ({beforeAt:Int64}, {beforeId:String})
    AND isPageView = 0
    AND /*event{*/ true /*}*/
    AND /*found{*/ true /*}*/
ORDER BY at DESC, id DESC
LIMIT {limit:UInt64}
SETTINGS max_block_size = 8192
