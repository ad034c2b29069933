-- What a user's events say: how many there are, the first and the last, where the user is and with which device.
SELECT
    count() AS events,
    toUnixTimestamp64Milli(min(createdAt)) AS first,
    toUnixTimestamp64Milli(max(createdAt)) AS last,
    argMaxIf(userIdentifier, createdAt, userIdentifier != '') AS identifier,
    argMaxIf(userDisplayName, createdAt, userDisplayName != '') AS displayName,
    argMaxIf(toStringCutToZero(countryCode), createdAt, toStringCutToZero(countryCode) != '') AS country,
    argMaxIf(event.city, createdAt, event.city != '') AS place,
    argMaxIf((clientName, clientVersion), createdAt, clientName != '') AS client,
    argMaxIf((osName, osVersion), createdAt, osName != '') AS os,
    argMaxIf(deviceType, createdAt, deviceType != '') AS device
FROM event FINAL
PREWHERE userId = {user:UInt64}
WHERE projectId = {project:UInt64}
