-- Everything users did. A correction writes the stored row again with sign -1, then the new one with +1.
-- The key: hour and user of an event lie close together on disk (ranges are read by hour, neighbours compress well),
-- and it ends with the id, so that a row written twice is one row. Measured in docs/decisions/0001-sort-keys.md.
CREATE TABLE IF NOT EXISTS event
(
    sign Int8,
    projectId UInt64,
    userId UInt64,
    sessionId String,
    contextId String CODEC(ZSTD(1)),
    deviceId UInt64,
    id String,
    name String,
    createdAt DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(T64, ZSTD(1)),
    isPageView Int8 DEFAULT 0,
    countryCode LowCardinality(FixedString(2)),
    city LowCardinality(String),
    osName LowCardinality(String),
    osVersion LowCardinality(String),
    clientName LowCardinality(String),
    clientVersion LowCardinality(String),
    clientType LowCardinality(String),
    deviceType LowCardinality(String),
    userIdentifier String,
    userDisplayName String,
    userAgent LowCardinality(String),
    referrer String,
    origin String,
    pathname LowCardinality(String),
    queryParams String,
    urlHash String,
    utmSource String,
    utmMedium String,
    utmCampaign String,
    utmContent String,
    utmTerm String,
    customData String,
    referrerUrl String DEFAULT referrer,
    latitude Nullable(Float32) DEFAULT NULL,
    longitude Nullable(Float32) DEFAULT NULL,
    referrerType LowCardinality(String) DEFAULT 'unknown',
    requestHeaders LowCardinality(String) DEFAULT '{}',
    importSource String DEFAULT ''
)
ENGINE = CollapsingMergeTree(sign)
PARTITION BY toYYYYMM(createdAt)
ORDER BY (projectId, toStartOfHour(createdAt), userId, createdAt, id)
SETTINGS default_compression_codec = 'ZSTD(3)', fsync_after_insert = 1, fsync_part_directory = 1;
