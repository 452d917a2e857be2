-- query: traces with a call that is restated
-- grain: one row per trace, with the number of its calls
-- reads: calls_restated
SELECT
    trace_id,
    count(*) AS calls
FROM calls_restated
GROUP BY trace_id
HAVING count(restated_at) > 0
ORDER BY trace_id
