-- report: the spans of one trace with what the ledger says about each
-- grain:  one row per span, in the order they started
-- reads:  spans, calls, excluded
SELECT
    spans.span_id,
    spans.parent_span_id,
    spans.name,
    spans.service_name,
    spans.operation,
    spans.status_code,
    spans.start_unix_nano,
    spans.end_unix_nano,
    calls.step,
    calls.input_tokens,
    calls.cache_read_tokens,
    calls.output_tokens,
    calls.cost_usd,
    calls.cost_status,
    calls.cost_reason,
    coalesce(calls.error_type, spans.attributes['error.type']) AS error_type,
    excluded.reason AS excluded_reason,
    excluded.billed_span_id
FROM spans
LEFT JOIN calls ON calls.trace_id = spans.trace_id AND calls.span_id = spans.span_id
LEFT JOIN excluded
    ON excluded.trace_id = spans.trace_id
    AND excluded.span_id = spans.span_id
    AND excluded.reason <> 'retransmitted'
WHERE spans.trace_id = $trace_id
QUALIFY row_number() OVER (
    PARTITION BY spans.span_id
    ORDER BY spans.end_unix_nano DESC, spans.received_unix_nano, excluded.reason
) = 1
ORDER BY spans.start_unix_nano, spans.span_id
