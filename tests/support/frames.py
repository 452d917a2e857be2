"""Frames for tests: written as tuples of their fields, encoded and scanned."""

from hypothesis import strategies as st

from collector.journal.frame import Seed, encode_head, scan_frames

SEED = Seed.of(b"salt" * 4, 7)

written_frames = st.lists(
    st.tuples(
        st.binary(max_size=300),
        st.sampled_from(["traces", "logs"]),
        st.sampled_from(["protobuf", "json"]),
        st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.integers(0, 2**64 - 1),
        st.binary(min_size=16, max_size=16),
    ),
    max_size=6,
)


def encode(written, *, seed=SEED, at=0, packed=lambda payload: (payload, False)):
    content = b""
    for payload, signal, encoding, tenant, received, payload_hash in written:
        kept, is_compressed = packed(payload)
        content += (
            encode_head(
                kept,
                signal=signal,
                encoding=encoding,
                tenant=tenant,
                received_unix_nano=received,
                payload_hash=payload_hash,
                checksum_seed=seed.at(at + len(content)),
                is_compressed=is_compressed,
            )
            + kept
        )
    return content


def scan(content, *, seed=SEED, at=0, is_rest=True):
    return list(scan_frames(content, at=at, seed=seed, is_rest=is_rest))


def fields(frame):
    return (
        frame.payload,
        frame.signal,
        frame.encoding,
        frame.tenant,
        frame.received_unix_nano,
        frame.payload_hash,
    )
