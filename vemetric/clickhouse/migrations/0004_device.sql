-- Browser, system and type of a user's devices, one row per (projectId, userId, id); sign as in `event`.
-- Read by key for a few hundred scattered users at a time, hence the fine granules and blocks.
CREATE TABLE IF NOT EXISTS device
(
    sign Int8,
    projectId UInt64,
    userId UInt64,
    id UInt64,
    createdAt DateTime64(3, 'UTC') DEFAULT now64(3),
    osName LowCardinality(String),
    osVersion LowCardinality(String),
    clientName LowCardinality(String),
    clientVersion LowCardinality(String),
    clientType LowCardinality(String),
    deviceType LowCardinality(String),
    importSource String DEFAULT ''
)
ENGINE = CollapsingMergeTree(sign)
ORDER BY (projectId, userId, id)
SETTINGS index_granularity = 256, min_compress_block_size = 2048, default_compression_codec = 'ZSTD(3)',
    fsync_after_insert = 1, fsync_part_directory = 1;
