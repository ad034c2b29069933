-- What happened in some visits, by their ids and users: how many page views and other events, and the first one's client.
SELECT
    sessionId, userId, countIf(isPageView = 1), countIf(isPageView = 0),
    argMin((clientName, osName, deviceType), (createdAt, event.id)) AS client
FROM event FINAL
WHERE projectId = {project:UInt64}
    AND createdAt >= fromUnixTimestamp64Milli({start:Int64}, 'UTC')
    AND createdAt < fromUnixTimestamp64Milli({end:Int64}, 'UTC')
    AND userId IN {users:Array(UInt64)}
    AND sessionId IN {sessions:Array(String)}
GROUP BY sessionId, userId
