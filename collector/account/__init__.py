"""
Role 3: spans of the lake to ledger, rollups, verdicts and alerts.

    state/account/manifest.json   what is taken, which segments count, what is dirty
    state/account/<number>/       one segment: spans and their traces' ledger rows
        <table>.arrow             Arrow IPC, lz4; all-null columns are left out
        touched.npy               traces whose rows this segment has, as numbers
    state/account/evicted/*.npy   traces that were let go, and their hours in the lake

A tick reads new spans, adds the earlier spans of the traces they touch, makes the
ledger rows of these traces anew, and writes both as a new segment. A row counts if no
later segment touched its trace, so nothing is ever updated in place. The manifest is
replaced last: a tick that was cut short never happened.

A stop syncs all of it. After a crash of the process the page cache still has it; after
a crash of the machine (another boot id) `fill` makes it again from the lake.
"""
