-- Merging users: rows are copied to the other user, then one insert into user_merge makes readers see the copies and no
-- longer what was copied, then the old rows are taken back (docs/decisions, "Merging users").
-- mergeId says which merge wrote a row, 0 for rows as they came.
ALTER TABLE event ADD COLUMN IF NOT EXISTS mergeId UInt64 DEFAULT 0;
-- At the end of the key, so that a changed visit can lie beside the one it stands for until readers are switched.
ALTER TABLE session ADD COLUMN IF NOT EXISTS mergeId UInt64,
    MODIFY ORDER BY (projectId, toStartOfHour(startedAt), userId, id, mergeId);
-- The plans under way: what is hidden from readers. A plan is one partition, so that it is switched by one insert and
-- dropped as one. step: copies (all rows of the merge), from (a user; otherId: into whom), session (a row; otherId: its
-- mergeId).
CREATE TABLE IF NOT EXISTS user_merge
(
    mergeId UInt64,
    step LowCardinality(String),
    projectId UInt64,
    userId UInt64,
    sessionId String,
    otherId UInt64,
    startedAt DateTime64(3, 'UTC'),
    replacedAt DateTime64(3, 'UTC'),
    hidden UInt8,
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY mergeId
ORDER BY (step, projectId, userId, sessionId, otherId, startedAt)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
