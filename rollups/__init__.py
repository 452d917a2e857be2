"""Whole traces to ledger rows, rollups, verdicts and rules. No network."""
