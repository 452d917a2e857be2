"""
The growth detector: contexts that grow, jump or loop, and what carrying them costs.

Knows priced calls and tool calls of whole traces. Knows no spans, storage or clock:
a verdict is a pure function of the calls a chain has made so far.
"""

from rollups.growth.severity import DEFAULT_LIMITS, Limits
from rollups.growth.verdict import Verdicts, judge_chains

__all__ = ["DEFAULT_LIMITS", "Limits", "Verdicts", "judge_chains"]
