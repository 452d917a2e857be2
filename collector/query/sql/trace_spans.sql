-- report: the spans of one trace with what the ledger says about each
-- grain:  one row per span, in the order they started
-- reads:  spans, calls, tool_calls, excluded
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
    coalesce(calls.chain_id, tool_calls.chain_id) AS chain_id,
    calls.new_tokens,
    calls.resent_tokens,
    calls.resent_usd,
    tool_calls.tool_name,
    tool_calls.result_tokens,
    tool_calls.carried_tokens,
    tool_calls.first_sent_usd,
    tool_calls.carried_usd,
    coalesce(calls.error_type, spans.attributes['error.type']) AS error_type,
    excluded.reason AS excluded_reason,
    excluded.billed_span_id
FROM spans
LEFT JOIN calls ON calls.trace_id = spans.trace_id AND calls.span_id = spans.span_id
LEFT JOIN tool_calls
    ON tool_calls.trace_id = spans.trace_id AND tool_calls.span_id = spans.span_id
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
