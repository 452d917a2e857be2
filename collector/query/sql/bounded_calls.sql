-- view:  bounded_calls
-- grain: one row per call
-- reads: measured_calls, price_bounds
-- What each call at least and at most cost. A call with a price has that as both. Without
-- one, it costs its tokens at the rates of the cheapest and of the dearest model of its
-- provider; null where the provider has no list, or tokens are unknown or absurd. A token
-- of the prompt of one without a price costs from token_lower_usd to token_upper_usd.
CREATE OR REPLACE TEMP VIEW bounded_calls AS
WITH sized AS (
    SELECT
        *,
        CASE
            WHEN operation IN ('embeddings', 'rerank') THEN 'countless'
            ELSE 'answer'
        END AS kind,
        is_unpriced
        AND input_tokens BETWEEN 0 AND 1000000000000
        AND coalesce(output_tokens, 0) BETWEEN 0 AND 1000000000000
        AND (output_tokens IS NOT NULL OR operation IN ('embeddings', 'rerank'))
            AS is_boundable,
        -- least() passes over nulls
        greatest(least(coalesce(cache_read_tokens, 0), input_tokens), 0)
            AS read_tokens,
        greatest(least(coalesce(cache_write_tokens, 0), input_tokens), 0)
            AS write_tokens
    FROM measured_calls
),

split AS (
    SELECT
        *,
        greatest(input_tokens - read_tokens - write_tokens, 0) AS fresh_tokens
    FROM sized
)

SELECT
    split.*,
    CASE
        WHEN NOT is_unpriced THEN cost_usd
        ELSE list_min(list_transform(
            lowest,
            lambda rates:
                fresh_tokens::DECIMAL(13, 0) * rates.input
                + read_tokens::DECIMAL(13, 0) * rates.cache_read
                + write_tokens::DECIMAL(13, 0) * rates.cache_write
                + coalesce(output_tokens, 0)::DECIMAL(13, 0) * rates.output
        ))
    END AS lower_usd,
    CASE
        WHEN NOT is_unpriced THEN cost_usd
        ELSE list_max(list_transform(
            highest,
            lambda rates:
                fresh_tokens::DECIMAL(13, 0) * rates.input
                + read_tokens::DECIMAL(13, 0) * rates.cache_read
                + write_tokens::DECIMAL(13, 0) * rates.cache_write
                + coalesce(output_tokens, 0)::DECIMAL(13, 0) * rates.output
        ))
    END AS upper_usd,
    list_min(list_transform(
        lowest,
        lambda rates: least(rates.input, rates.cache_read, rates.cache_write)
    )) AS token_lower_usd,
    list_max(list_transform(
        highest,
        lambda rates: greatest(rates.input, rates.cache_read, rates.cache_write)
    )) AS token_upper_usd
FROM split
LEFT JOIN price_bounds
    ON is_boundable
    AND split.provider = price_bounds.provider
    AND split.kind = price_bounds.kind
    AND split.input_tokens > price_bounds.above
    AND split.input_tokens <= price_bounds.upto
