-- What some users are called.
SELECT id, identifier, displayName
FROM user FINAL
PREWHERE id IN {users:Array(UInt64)}
WHERE projectId = {project:UInt64} AND deleted = 0
