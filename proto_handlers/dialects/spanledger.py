"""Our own attributes: what apps may set, and what decoding finds in documents."""

from typing import Final

from proto_handlers.dialects.dialect import Dialect

FOUND_PREFIX: Final = "spanledger.found."
"""Before what decoding found inside a document; counts are inclusive."""

DOCUMENTS: Final = "spanledger.retrieval.documents"
"""How many documents a retrieval found."""
DOCUMENT_BYTES: Final = "spanledger.retrieval.document_bytes"
"""Size of all their texts in bytes."""
LARGEST_BYTES: Final = "spanledger.retrieval.largest_document_bytes"
"""Size of the largest text."""
MEDIAN_BYTES: Final = "spanledger.retrieval.median_document_bytes"
"""Size of the middle text, of two middle ones the smaller."""

FOUND_COUNTS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
    "input_audio_tokens",
    "cache_read_audio_tokens",
    "output_audio_tokens",
    "input_image_tokens",
    "output_image_tokens",
)
"""Counts that decoding may find."""

FOUND_TEXTS: Final = (
    "response_id",
    "response_model",
    "finish_reason",
    "reported_cost",
    "error_type",
    "ttft_ms",
    "tool_call_id",
    "calls_inside",
    "feature",
    "tenant",
    "agent_name",
    "user_id",
    "conversation_id",
    "run_key",
)
"""Texts that decoding may find."""

_CONVERTED: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
)

SPANLEDGER: Final = Dialect(
    name="spanledger",
    source="proto_handlers.extraction; apps may set them, too",
    keys={
        **{name: (FOUND_PREFIX + name,) for name in FOUND_TEXTS},
        **{
            ("found_" if name in _CONVERTED else "") + name: (FOUND_PREFIX + name,)
            for name in FOUND_COUNTS
        },
    },
)
