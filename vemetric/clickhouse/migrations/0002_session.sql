-- Visits, one row per (projectId, userId, id): the row with the highest version counts, deleted = 1 hides it.
-- The start is fixed by the hub when the visit opens, so its month and hour may stand before the id:
-- ranges are read by start. Measured in docs/decisions/0001-sort-keys.md.
CREATE TABLE IF NOT EXISTS session
(
    deleted Int8 DEFAULT 0,
    projectId UInt64,
    userId UInt64,
    id String,
    startedAt DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(T64, ZSTD(1)),
    endedAt DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(T64, ZSTD(1)),
    duration UInt32 DEFAULT 0,
    userIdentifier Nullable(String) DEFAULT NULL,
    userDisplayName Nullable(String) DEFAULT NULL,
    countryCode LowCardinality(FixedString(2)),
    city LowCardinality(String),
    userAgent LowCardinality(String),
    referrer String,
    referrerUrl String DEFAULT referrer,
    referrerType LowCardinality(String) DEFAULT 'unknown',
    origin String,
    pathname LowCardinality(String),
    queryParams String,
    urlHash String,
    utmSource String,
    utmMedium String,
    utmCampaign String,
    utmContent String,
    utmTerm String,
    latitude Nullable(Float32) DEFAULT NULL,
    longitude Nullable(Float32) DEFAULT NULL,
    importSource String DEFAULT '',
    version UInt64
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(startedAt)
ORDER BY (projectId, toStartOfHour(startedAt), userId, id)
SETTINGS default_compression_codec = 'ZSTD(3)', fsync_after_insert = 1, fsync_part_directory = 1;
