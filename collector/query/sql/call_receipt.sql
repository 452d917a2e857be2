-- report: the ledger row of the call that a span stands for or gave its counts to
-- grain:  one row, or none
-- reads:  calls
SELECT *
FROM calls
WHERE trace_id = $trace_id AND (span_id = $span_id OR usage_span_id = $span_id)
ORDER BY span_id = $span_id DESC
LIMIT 1
