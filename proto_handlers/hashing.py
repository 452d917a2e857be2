"""
Keyed hashes of many texts: what is equal can be seen, what it says cannot be guessed.

Each text becomes 128 bits of XXH3, and these are sealed with SipHash-2-4 under a secret
key, for a whole column at once. SipHash is a pseudo-random function: without the key
nobody can tell which hash a text would have. XXH3 is no cryptographic hash, so whoever
chooses both texts could make them hash alike; that deceives nobody but himself.

SipHash as in https://www.aumasson.jp/siphash/siphash.pdf (Aumasson, Bernstein, 2012),
128 bits as in the authors' reference code.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from proto_handlers.fixed_texts import hex_texts

_Words = npt.NDArray[np.uint64]
_Buffer = bytes | memoryview

_V0, _V1 = 0x736F6D6570736575, 0x646F72616E646F6D
_V2, _V3 = 0x6C7967656E657261, 0x7465646279746573
_DIGEST_BYTES: Final = 16


def keyed_hashes(texts: Iterable[_Buffer], key: bytes) -> pa.StringArray:
    """
    Return a keyed hash of each text as 32 hex digits; equal texts hash alike.

    Args:
        texts: UTF-8.

        key: Secret of any length.
    """
    digest = xxhash.xxh3_128_digest
    digests = b"".join([digest(text) for text in texts])
    messages = np.frombuffer(digests, "<u8").reshape(-1, 2)
    secret = hashlib.blake2b(key, digest_size=_DIGEST_BYTES).digest()
    sealed = siphash(messages, np.frombuffer(secret, "<u8"))
    raw = np.frombuffer(sealed.astype("<u8").tobytes(), np.uint8)
    return hex_texts(raw, _DIGEST_BYTES)


def siphash(messages: _Words, key: _Words) -> _Words:
    """
    Return the 128-bit SipHash-2-4 of n messages of m words of 64 bits each.

    Args:
        messages: Shape (n, m).

        key: Two words.

    Returns:
        Shape (n, 2).
    """
    count, length = messages.shape
    state = [
        np.full(count, word ^ int(key[place % 2]), np.uint64)
        for place, word in enumerate((_V0, _V1, _V2, _V3))
    ]
    state[1] ^= np.uint64(0xEE)
    last = np.full(count, (8 * length % 256) << 56, np.uint64)
    for word in (*messages.T, last):
        state[3] ^= word
        _rounds(state, 2)
        state[0] ^= word
    sealed = np.empty((count, 2), np.uint64)
    state[2] ^= np.uint64(0xEE)
    _rounds(state, 4)
    sealed[:, 0] = state[0] ^ state[1] ^ state[2] ^ state[3]
    state[1] ^= np.uint64(0xDD)
    _rounds(state, 4)
    sealed[:, 1] = state[0] ^ state[1] ^ state[2] ^ state[3]
    return sealed


def _rounds(state: list[_Words], count: int) -> None:
    v0, v1, v2, v3 = state
    for _ in range(count):
        v0 = v0 + v1
        v1 = _turned(v1, 13) ^ v0
        v0 = _turned(v0, 32)
        v2 = v2 + v3
        v3 = _turned(v3, 16) ^ v2
        v0 = v0 + v3
        v3 = _turned(v3, 21) ^ v0
        v2 = v2 + v1
        v1 = _turned(v1, 17) ^ v2
        v2 = _turned(v2, 32)
    state[:] = [v0, v1, v2, v3]


def _turned(words: _Words, bits: int) -> _Words:
    return (words << np.uint64(bits)) | (words >> np.uint64(64 - bits))
