"""Budgets as rules take them."""

DAILY = {
    "name": "spend",
    "dimension": "feature",
    "value": None,
    "period": "day",
    "measure": "cost_usd",
    "limit": "10",
    "thresholds": (50, 80, 100),
}
"""Ten dollars a day for each feature."""
