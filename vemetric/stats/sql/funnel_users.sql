-- Who got through a funnel: how many, of whom no more than {limit} are looked at, and their ids by window, as text.
SELECT
    count() AS users,
    toString(groupArrayIf(userId, isCurrent)) AS current,
    toString(groupArrayIf(userId, NOT isCurrent)) AS previous
FROM
(
    SELECT userId, isCurrent
    FROM (/*reached{*/ SELECT toUInt64(0) AS userId, true AS isCurrent /*}*/)
    LIMIT {limit:UInt64}
)
