"""
What is served over HTTP to people and probes: health, metrics, one page.

Knows HTML and status codes. Does not know how a report is worked out, nor how alerts
live: it shows what `collector.query` and `collector.alerts` say.
"""
