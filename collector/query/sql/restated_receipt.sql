-- report: the newest restatement of a call's cost, as the ledger's row with it
-- grain:  one row, or none where nothing was restated
-- reads:  calls_restated
SELECT *
FROM calls_restated
WHERE trace_id = $trace_id AND span_id = $span_id AND restated_at IS NOT NULL
