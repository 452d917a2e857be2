-- report:     what other habits of an agent would save: the same calls, less history
-- grain:      one row per (action, feature, agent), the largest saving first
-- reads:      calls, tool_calls, cached_calls
-- parameters: $cut_results_to   tokens to which longer results are cut
--             $summarise_every  calls of a conversation after which all history is
--                               replaced by a summary
--             $summary_tokens   length of that summary
-- Each figure is for that action alone, at the rates the calls were billed at.
-- A summary costs a call that reads the prompt once more, and its own output; what it
-- spares sits after the first prompt, where caches read it cheaply, and is priced so.
-- Of caching, saved_tokens are those that would be read from the cache in addition;
-- dollars are the recorded cost minus that of the same call by the same price book.
WITH cut AS (
    SELECT
        feature,
        agent_name,
        concat(trace_id, '/', run_id) AS run_key,
        result_tokens > $cut_results_to AS is_touched,
        (first_sent_tokens::HUGEINT + carried_tokens)
            * (result_tokens - $cut_results_to)
            // nullif(result_tokens, 0) AS tokens,
        ((first_sent_usd + carried_usd) * 1000000000000)::HUGEINT
            * (result_tokens - $cut_results_to) // nullif(result_tokens, 0) AS pico_usd
    FROM tool_calls
    WHERE result_tokens > $cut_results_to
),
numbered AS (
    SELECT
        * REPLACE (input_tokens::HUGEINT AS input_tokens),
        (row_number() OVER chain - 1) // $summarise_every AS block
    FROM calls
    WHERE new_tokens IS NOT NULL
    WINDOW chain AS (
        PARTITION BY trace_id, run_id, chain_id ORDER BY timestamp, step, span_id
    )
),
spared AS (
    SELECT
        *,
        input_tokens - new_tokens - resent_tokens AS opening_tokens,
        least(coalesce(cache_read_tokens, 0), input_tokens) AS read_tokens,
        greatest(
            min(resent_tokens) OVER since_summary - $summary_tokens, 0
        ) AS tokens,
        row_number() OVER since_summary = 1
            AND resent_tokens > $summary_tokens AS is_summarised
    FROM numbered
    WHERE block > 0
    WINDOW since_summary AS (
        PARTITION BY trace_id, run_id, chain_id, block ORDER BY timestamp, step, span_id
        ROWS UNBOUNDED PRECEDING
    )
),
by_class AS (
    SELECT
        *,
        least(coalesce(cache_write_tokens, 0), input_tokens - read_tokens)
            AS write_tokens,
        greatest(
            least(read_tokens, opening_tokens + tokens) - opening_tokens, 0
        ) AS from_read
    FROM spared
),
parts AS (
    SELECT
        *,
        least(
            greatest(
                least(read_tokens + write_tokens, opening_tokens + tokens)
                    - greatest(read_tokens, opening_tokens),
                0
            ),
            tokens - from_read
        ) AS from_write
    FROM by_class
),
summarised AS (
    SELECT
        feature,
        agent_name,
        concat(trace_id, '/', run_id) AS run_key,
        is_summarised AS is_touched,
        tokens::HUGEINT - CASE
            WHEN is_summarised THEN input_tokens - new_tokens + $summary_tokens ELSE 0
        END AS tokens,
        CASE WHEN tokens = 0 THEN 0 ELSE
            CASE WHEN from_read = 0 THEN 0 ELSE
                (cache_read_cost_usd * 1000000000000)::HUGEINT * from_read
                    // cache_read_tokens
            END
            + CASE WHEN from_write = 0 THEN 0 ELSE
                (cache_write_cost_usd * 1000000000000)::HUGEINT * from_write
                    // cache_write_tokens
            END
            + CASE WHEN tokens = from_read + from_write THEN 0 ELSE
                (input_cost_usd * 1000000000000)::HUGEINT
                    * (tokens - from_read - from_write)
                    // (input_tokens - read_tokens - write_tokens)
            END
        END - CASE WHEN NOT is_summarised THEN 0 ELSE
            ((input_cost_usd + cache_read_cost_usd + cache_write_cost_usd)
                * 1000000000000)::HUGEINT * (input_tokens - new_tokens)
                // nullif(input_tokens, 0)
            + (output_cost_usd * 1000000000000)::HUGEINT * $summary_tokens
                // nullif(output_tokens, 0)
        END AS pico_usd
    FROM parts
)
SELECT
    action,
    feature,
    agent_name,
    count(DISTINCT run_key) AS runs,
    count(*) FILTER (WHERE is_touched) AS times,
    TRY_CAST(sum(tokens) AS BIGINT) AS saved_tokens,
    sum(pico_usd) * 0.000000000001 AS saved_usd,
    count(*) FILTER (WHERE pico_usd IS NULL) AS unpriced,
    coalesce(sum(tokens) FILTER (WHERE pico_usd IS NOT NULL), 0)::DOUBLE
        / nullif(sum(tokens), 0) AS coverage
FROM (
    SELECT format('cut results to {:d} tokens', $cut_results_to) AS action, * FROM cut
    UNION ALL
    SELECT format('summarise every {:d} calls', $summarise_every), * FROM summarised
    UNION ALL
    SELECT
        action, feature, agent_name, run_key, tokens > 0, tokens,
        (saved_usd * 1000000000000)::HUGEINT
    FROM cached_calls
)
GROUP BY action, feature, agent_name
ORDER BY saved_usd DESC NULLS LAST, action, feature, agent_name
LIMIT $limit
