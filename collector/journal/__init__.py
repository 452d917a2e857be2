"""
The write-ahead log between `receive` and `drain`.

It knows bytes, files and syncs. It knows neither OTLP nor the lake.

**Files** in ``<data_dir>/journal``:

========================  ==========================================================
``journal.json``          ``journal_id`` and ``salt``, random, made once
``00000001.segment`` ...  frames; preallocated while it grows, cut when it is sealed
``synced``                two slots with the place up to which frames are durable
``committed``             the place up to which the reader is done, one line of text
``corrupt/``              regions of segments that were not readable, set aside
``refused/``              payloads of frames that could not be used, set aside
========================  ==========================================================

**A frame** (little endian). Frames follow each other and never span segments::

     0  4  magic "SLF1"
     4  4  CRC32C of the head behind this field, begun with the seed of the place
     8  4  CRC32C of the content, begun with the seed of the place
    12  4  bytes of the content
    16  1  signal: 1 traces, 2 logs
    17  1  encoding in which the sender sent it: 1 protobuf, 2 json;
           the highest bit says that the content is compressed
    18  2  bytes of the tenant, 65535 for none
    20  8  arrival, nanoseconds since 1970, UTC
    28 16  hash of the request as received
    44  .  tenant, UTF-8; the head ends with it
     .  .  content: the payload, protobuf, or raw snappy of it

The seed is a function of salt, segment and offset: a frame is valid in one place only,
so neither stale bytes nor a frame that a sender put inside a payload is ever taken
for a frame, also when a damaged region is searched for the next good one.
Behind the last frame of a growing segment stand zeros.

**Promises.**

- A frame is durable when `Journal.synced` has reached its end; one sync serves all
  who wait (`GroupCommit`). A reader sees durable frames only.
- After a failed sync the journal takes nothing more, and the next start drops what was
  not durable then: what the kernel kept of it is unknown.
- A start cuts the torn tail of the last segment, syncs what it keeps and continues in a
  new segment. A damaged frame before the tail costs that frame alone.
- Segments are deleted whole, by the reader, when all of a segment is committed.
"""

from collector.journal.compression import Packed, pack
from collector.journal.frame import Encoding, Frame, Position, Signal
from collector.journal.group import GroupCommit
from collector.journal.log import Journal
from collector.journal.reader import Corruption, JournalReader

__all__ = [
    "Corruption",
    "Encoding",
    "Frame",
    "GroupCommit",
    "Journal",
    "JournalReader",
    "Packed",
    "Position",
    "Signal",
    "pack",
]
