"""
Questions to the lake: one Arrow table answers the command line, the API and the pages.

Knows the views over the lake, the reports as SQL files, how a trace is drawn and how a
cost is explained. Does not know how the lake is written.
"""
