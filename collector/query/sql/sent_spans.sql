-- report: what was sent of a span and of the one that its call was counted by
-- grain:  one row per span
-- reads:  spans
SELECT span_id, scope_name, scope_version, dialect, attribute_map AS attributes
FROM spans
WHERE trace_id = $trace_id AND span_id IN ($span_id, $usage_span_id)
ORDER BY span_id = $span_id DESC
