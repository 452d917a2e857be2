"""
The lake: open Parquet under one root, and the records that make writing it safe.

    spans/date=YYYY-MM-DD/hour=HH/<journal_id>-<segment>-<offset>.parquet
    spans/date=YYYY-MM-DD/hour=HH/compacted-<inputs>.parquet
    <derived table>/date=YYYY-MM-DD/hour=HH/part.parquet
    rollups/<name>/date=YYYY-MM-DD/part.parquet
    <table>/date=1970-01-01/hour=00/empty.parquet     typed, so that a glob never fails
    _meta/intents/<journal_id>.json                   what the drain is about to write
    _meta/commits/<journal_id>/<end>.json             what it has written
    _meta/compactions/<output>.json                   what a compacted object replaces
    _meta/retired.json                                hours whose spans are deleted
    _meta/books/<version>                             every price book ever in force
    _meta/books/timeline.json                         since when each one was
    _meta/books/chosen.json                           the one taken by prices update

An object is named by where its batch starts in the journal, and the intent fixes where
it ends: writing again after a crash replaces what was written before.
A derived partition is one file, replaced by rename: a reader sees the old or the new.
"""
