-- What a site told of some users, as the user workers keep it.
SELECT id, customData, avatarUrl
FROM user FINAL
WHERE projectId = {project:UInt64} AND deleted = 0 AND id IN {users:Array(UInt64)}
