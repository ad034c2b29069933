-- A page of the visits that began in the range, by when they began or how long they lasted.
SELECT
    id, userId, toUnixTimestamp64Milli(startedAt) AS started, toUnixTimestamp64Milli(endedAt) AS ended, duration,
    ifNull(userIdentifier, ''), ifNull(userDisplayName, ''), toStringCutToZero(countryCode), city, referrer, referrerUrl,
    referrerType, utmSource, utmMedium, utmCampaign, utmContent, utmTerm, origin, pathname
FROM session FINAL
WHERE projectId = {project:UInt64}
    AND startedAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND startedAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    AND deleted = 0
    AND /*rows{*/ true /*}*/
    AND /*users{*/ true /*}*/
    AND /*after{*/ true /*}*/
ORDER BY toInt64(/*sort{*/ toUnixTimestamp64Milli(startedAt) /*}*/) /*direction{*/ DESC /*}*/, id, userId
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
SETTINGS max_block_size = 8192
