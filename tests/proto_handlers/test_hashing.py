"""Keyed hashes of content."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from proto_handlers.hashing import keyed_hashes, siphash

MASK = (1 << 64) - 1
words = st.integers(0, MASK)


def rotate(word, bits):
    return ((word << bits) | (word >> (64 - bits))) & MASK


def reference_siphash(message, key, *, wide):
    """Return SipHash-2-4 of a message of whole words, one word at a time."""
    v = [
        key[0] ^ 0x736F6D6570736575,
        key[1] ^ 0x646F72616E646F6D,
        key[0] ^ 0x6C7967656E657261,
        key[1] ^ 0x7465646279746573,
    ]

    def rounds(count):
        for _ in range(count):
            v[0] = (v[0] + v[1]) & MASK
            v[1] = rotate(v[1], 13) ^ v[0]
            v[0] = rotate(v[0], 32)
            v[2] = (v[2] + v[3]) & MASK
            v[3] = rotate(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & MASK
            v[3] = rotate(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & MASK
            v[1] = rotate(v[1], 17) ^ v[2]
            v[2] = rotate(v[2], 32)

    if wide:
        v[1] ^= 0xEE
    for word in (*message, (8 * len(message)) << 56):
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xEE if wide else 0xFF
    rounds(4)
    first = v[0] ^ v[1] ^ v[2] ^ v[3]
    if not wide:
        return (first,)
    v[1] ^= 0xDD
    rounds(4)
    return first, v[0] ^ v[1] ^ v[2] ^ v[3]


def test_the_reference_gives_what_its_authors_print():
    key = tuple(np.frombuffer(bytes(range(16)), "<u8").tolist())
    message = np.frombuffer(bytes(range(8)), "<u8").tolist()

    # Vector 8 of the 64-bit vectors: 62 24 93 9a 79 f5 f5 93.
    assert reference_siphash(message, key, wide=False) == (0x93F5F5799A932462,)


@given(st.lists(st.tuples(words, words), min_size=1, max_size=5), words, words)
def test_a_column_is_hashed_as_word_by_word(messages, one, other):
    sealed = siphash(np.array(messages, np.uint64), np.array([one, other], np.uint64))

    assert [tuple(row) for row in sealed.tolist()] == [
        reference_siphash(message, (one, other), wide=True) for message in messages
    ]


@given(st.lists(st.binary(max_size=20)))
def test_equal_texts_hash_alike_and_different_ones_do_not(texts):
    hashes = keyed_hashes(texts, b"key").to_pylist()

    assert len(set(hashes)) == len(set(texts))
    assert dict(zip(texts, hashes, strict=True)) == {
        text: keyed_hashes([text], b"key")[0].as_py() for text in texts
    }


def test_another_key_gives_other_hashes():
    hashes = {keyed_hashes([b"same"], key)[0].as_py() for key in (b"", b"1", b"2")}

    assert len(hashes) == 3
