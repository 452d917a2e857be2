-- query: the calls that a what-if looks at
-- grain: one row per call
-- reads: calls
SELECT *
FROM calls
WHERE $feature IS NULL OR feature = $feature
