-- grain: one row
-- reads: spans
-- parameters: $lake    root of the lake
--             $prompt  text that must not be in it
SELECT
    count(*) AS spans,
    count(*) FILTER (WHERE contains(attributes::VARCHAR, $prompt)) AS with_prompt
FROM read_parquet($lake || '/spans/**/*.parquet', union_by_name = true)
