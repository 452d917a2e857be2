"""Tokens and dates to money. No OTLP, no storage."""
