"""What the query API and those who ask it agree on."""

from typing import Final

ARROW_TYPE: Final = "application/vnd.apache.arrow.stream"
"""Media type of an answer with exact types."""

SUMMARY_KEY: Final = b"spanledger.summary"
"""Metadata of a report's table: its summary as JSON."""

TRUNCATED_HEADER: Final = "x-truncated"
"""Header that says whether there were more than `MAX_ROWS` rows."""

MAX_ROWS: Final = 100_000
"""Rows of an answer at most."""
