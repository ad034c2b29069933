-- Visits, one row per (projectId, userId, id): the row with the highest version counts, deleted = 1 hides it.
-- The start is fixed by the hub when the visit opens, so its month and day may stand before the id:
-- ranges are read by start. Measured in docs/decisions/0001-sort-keys.md.
CREATE TABLE IF NOT EXISTS session
(
    deleted Int8 DEFAULT 0,
    projectId UInt64,
    userId UInt64,
    id String CODEC(ZSTD(3)),
    startedAt DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(3)),
    endedAt DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(Delta, ZSTD(3)),
    duration UInt32 DEFAULT 0 CODEC(ZSTD(3)),
    userIdentifier Nullable(String) DEFAULT NULL CODEC(ZSTD(3)),
    userDisplayName Nullable(String) DEFAULT NULL CODEC(ZSTD(3)),
    countryCode LowCardinality(FixedString(2)),
    city String CODEC(ZSTD(3)),
    userAgent String CODEC(ZSTD(3)),
    referrer String CODEC(ZSTD(3)),
    referrerUrl String DEFAULT referrer CODEC(ZSTD(3)),
    referrerType LowCardinality(String) DEFAULT 'unknown',
    origin String CODEC(ZSTD(3)),
    pathname String CODEC(ZSTD(3)),
    queryParams String CODEC(ZSTD(3)),
    urlHash String CODEC(ZSTD(3)),
    utmSource String CODEC(ZSTD(3)),
    utmMedium String CODEC(ZSTD(3)),
    utmCampaign String CODEC(ZSTD(3)),
    utmContent String CODEC(ZSTD(3)),
    utmTerm String CODEC(ZSTD(3)),
    latitude Nullable(Float32) DEFAULT NULL CODEC(ZSTD(3)),
    longitude Nullable(Float32) DEFAULT NULL CODEC(ZSTD(3)),
    importSource String DEFAULT '' CODEC(ZSTD(3)),
    version UInt64 CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(startedAt)
ORDER BY (projectId, toDate(startedAt), userId, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
