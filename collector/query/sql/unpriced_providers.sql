-- query: whose calls have no price though their tokens are known, and when
-- grain: one row per provider, as sent
-- reads: calls
SELECT
    provider,
    epoch_us(min(timestamp)) AS first_micros,
    epoch_us(max(timestamp)) AS last_micros
FROM calls
WHERE cost_status = 'unpriced' AND provider IS NOT NULL AND input_tokens IS NOT NULL
GROUP BY provider
ORDER BY provider
