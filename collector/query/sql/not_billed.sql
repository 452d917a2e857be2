-- report: why a span is not billed
-- grain:  one row per reason, or none
-- reads:  excluded
SELECT *
FROM excluded
WHERE trace_id = $trace_id AND span_id = $span_id
ORDER BY reason
