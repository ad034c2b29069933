-- The row of a known user, as the user workers keep it.
SELECT
    identifier, displayName, toUnixTimestamp64Milli(createdAt), toUnixTimestamp64Milli(firstSeenAt), customData,
    avatarUrl, if(referrerUrl != '', referrerUrl, referrer), [origin, pathname, queryParams, urlHash],
    utmSource, utmMedium, utmCampaign, utmContent, utmTerm, toStringCutToZero(countryCode), city
FROM user FINAL
WHERE projectId = {project:UInt64} AND id = {user:UInt64} AND deleted = 0
