-- Everything users did. A correction writes the stored row again with sign -1, then the new one with +1.
-- The key: day and user of the event lie close together on disk (ranges are read by day, neighbours compress well),
-- and it ends with the id, so that a row written twice is one row. Measured in docs/decisions/0001-sort-keys.md.
CREATE TABLE IF NOT EXISTS event
(
    sign Int8,
    projectId UInt64,
    userId UInt64,
    sessionId String CODEC(ZSTD(3)),
    contextId String CODEC(ZSTD(3)),
    deviceId UInt64 CODEC(ZSTD(3)),
    id String CODEC(ZSTD(3)),
    name String CODEC(ZSTD(3)),
    createdAt DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(3)),
    isPageView Int8 DEFAULT 0,
    countryCode LowCardinality(FixedString(2)),
    city String CODEC(ZSTD(3)),
    osName LowCardinality(String),
    osVersion LowCardinality(String),
    clientName LowCardinality(String),
    clientVersion LowCardinality(String),
    clientType LowCardinality(String),
    deviceType LowCardinality(String),
    userIdentifier String CODEC(ZSTD(3)),
    userDisplayName String CODEC(ZSTD(3)),
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
    customData String CODEC(ZSTD(3)),
    referrerUrl String DEFAULT referrer CODEC(ZSTD(3)),
    latitude Nullable(Float32) DEFAULT NULL CODEC(ZSTD(3)),
    longitude Nullable(Float32) DEFAULT NULL CODEC(ZSTD(3)),
    referrerType LowCardinality(String) DEFAULT 'unknown',
    requestHeaders String DEFAULT '{}' CODEC(ZSTD(3)),
    importSource String DEFAULT '' CODEC(ZSTD(3))
)
ENGINE = CollapsingMergeTree(sign)
PARTITION BY toYYYYMM(createdAt)
ORDER BY (projectId, toDate(createdAt), userId, createdAt, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
