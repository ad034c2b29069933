-- Known users, one row per (projectId, id): the row with the highest version counts, deleted = 1 hides it.
-- Read by key for a few hundred scattered users at a time, hence the fine granularity.
CREATE TABLE IF NOT EXISTS user
(
    deleted Int8 DEFAULT 0,
    projectId UInt64,
    id UInt64,
    identifier String CODEC(ZSTD(3)),
    displayName String CODEC(ZSTD(3)),
    createdAt DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(3)),
    updatedAt DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(3)),
    countryCode LowCardinality(FixedString(2)),
    city String CODEC(ZSTD(3)),
    initialDeviceId UInt64 CODEC(ZSTD(3)),
    customData String CODEC(ZSTD(3)),
    userAgent String CODEC(ZSTD(3)),
    referrer String CODEC(ZSTD(3)),
    origin String CODEC(ZSTD(3)),
    pathname String CODEC(ZSTD(3)),
    queryParams String CODEC(ZSTD(3)),
    urlHash String CODEC(ZSTD(3)),
    utmSource String CODEC(ZSTD(3)),
    utmMedium String CODEC(ZSTD(3)),
    utmCampaign String CODEC(ZSTD(3)),
    utmContent String CODEC(ZSTD(3)),
    utmTerm String CODEC(ZSTD(3)),
    firstSeenAt DateTime64(3, 'UTC') DEFAULT createdAt CODEC(Delta, ZSTD(3)),
    latitude Nullable(Float32) DEFAULT NULL CODEC(ZSTD(3)),
    longitude Nullable(Float32) DEFAULT NULL CODEC(ZSTD(3)),
    referrerUrl String DEFAULT referrer CODEC(ZSTD(3)),
    referrerType LowCardinality(String) DEFAULT 'unknown',
    avatarUrl String DEFAULT '' CODEC(ZSTD(3)),
    version UInt64 CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (projectId, id)
SETTINGS index_granularity = 256, fsync_after_insert = 1, fsync_part_directory = 1;
