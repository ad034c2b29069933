-- Known users, one row per (projectId, id): the row with the highest version counts, deleted = 1 hides it.
-- Read by key for a few hundred scattered users at a time, hence the fine granules and blocks.
CREATE TABLE IF NOT EXISTS user
(
    deleted Int8 DEFAULT 0,
    projectId UInt64,
    id UInt64,
    identifier String,
    displayName String,
    createdAt DateTime64(3, 'UTC') DEFAULT now64(3),
    updatedAt DateTime64(3, 'UTC') DEFAULT now64(3),
    countryCode LowCardinality(FixedString(2)),
    city String,
    initialDeviceId UInt64,
    customData String,
    userAgent String,
    referrer String,
    origin String,
    pathname String,
    queryParams String,
    urlHash String,
    utmSource String,
    utmMedium String,
    utmCampaign String,
    utmContent String,
    utmTerm String,
    firstSeenAt DateTime64(3, 'UTC') DEFAULT createdAt,
    latitude Nullable(Float32) DEFAULT NULL,
    longitude Nullable(Float32) DEFAULT NULL,
    referrerUrl String DEFAULT referrer,
    referrerType LowCardinality(String) DEFAULT 'unknown',
    avatarUrl String DEFAULT '',
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (projectId, id)
SETTINGS index_granularity = 256, min_compress_block_size = 2048, default_compression_codec = 'ZSTD(3)',
    fsync_after_insert = 1, fsync_part_directory = 1;
