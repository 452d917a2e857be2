"""OTLP wire formats and attribute dialects: bytes to Arrow. No prices, no storage."""
