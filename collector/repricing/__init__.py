"""
Calls priced again: by another book (restatements), or as if they had been others.

Knows which stored columns a price depends on and how old and new costs are set side by
side. Changes nothing that is recorded: a restatement stands beside it, and what would
have been is only shown.
"""
