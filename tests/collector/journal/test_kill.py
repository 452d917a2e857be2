import subprocess
import sys

import pytest
from journals import SMALL, read_all

from collector.journal import Journal

WRITER = """
import sys
from pathlib import Path
from collector.config import JournalSettings
from collector.journal import Journal

journal = Journal.open(Path(sys.argv[1]), JournalSettings(segment_bytes=1 << 20))
for number in range(1_000_000):
    journal.append(
        b"%09d" % number * 1000, signal="traces", encoding="protobuf", tenant=None,
        received_unix_nano=0, payload_hash=bytes(16),
    )
    if number % 3 == 2:
        journal.sync()
        print("acknowledged", number, flush=True)
"""


@pytest.mark.parametrize("acknowledgements", [1, 50, 150])
def test_after_a_kill_every_acknowledged_frame_is_there_once(
    tmp_path, acknowledgements
):
    writer = subprocess.Popen(
        [sys.executable, "-P", "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE
    )
    acknowledged = []
    with writer:
        for line in writer.stdout:
            if line.startswith(b"acknowledged"):
                acknowledged.append(int(line.split()[1]))
            if len(acknowledged) == acknowledgements:
                writer.kill()
    seen_before_restart = [int(frame.payload[:9]) for frame in read_all(tmp_path)]

    Journal.open(tmp_path, SMALL).close()

    numbers = [int(frame.payload[:9]) for frame in read_all(tmp_path)]
    assert numbers == list(range(len(numbers)))
    assert numbers[-1] >= acknowledged[-1]
    assert seen_before_restart[-1] >= acknowledged[-1]
