-- A page of what a user did, the latest first; `until` is when the next page of the same visit was opened, 0 for none.
SELECT
    id, at, sessionId, name, isPageView, origin, pathname, queryParams, urlHash, customData, clientName, clientVersion,
    osName, osVersion, deviceType, until
FROM
(
    SELECT
        id, toUnixTimestamp64Milli(createdAt) AS at, sessionId, name, isPageView, origin, pathname, queryParams, urlHash,
        customData, clientName, clientVersion, osName, osVersion, deviceType, /*event{*/ true /*}*/ AS isWanted,
        minIf(at, isPageView = 1) OVER
        (
            PARTITION BY sessionId ORDER BY createdAt, id ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING
        ) AS until
    FROM event FINAL
    PREWHERE userId = {user:UInt64}
    WHERE projectId = {project:UInt64}
)
WHERE isWanted
    AND at >= {start:Int64}
    AND at < {end:Int64}
    AND (at, id) < ({beforeAt:Int64}, {beforeId:String})
ORDER BY at DESC, id DESC
LIMIT {limit:UInt64} OFFSET {offset:UInt64}
