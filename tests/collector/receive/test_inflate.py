import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import MalformedRequestError, TooLargeError, UnsupportedError
from collector.receive.inflate import Inflater, parse_coding


def raw_deflate(content):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(content) + compressor.flush()


COMPRESS = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
}
codings = st.sampled_from(sorted(COMPRESS))
contents = st.binary(max_size=500) | st.binary(max_size=8).map(lambda b: b * 1000)


def feed(inflater, content, *, chunk_bytes):
    for start in range(0, len(content), chunk_bytes):
        inflater.feed(content[start : start + chunk_bytes])
    return inflater.finish()


@given(codings, contents, st.integers(1, 300))
def test_what_was_compressed_comes_back_whatever_the_chunks(
    coding, content, chunk_bytes
):
    inflater = Inflater(coding, max_bytes=len(content))

    compressed = COMPRESS[coding](content)
    assert feed(inflater, compressed, chunk_bytes=chunk_bytes) == content
    assert inflater.size_bytes == len(content)


@given(contents.filter(bool), st.integers(1, 300))
def test_deflate_without_its_wrapper_is_understood(content, chunk_bytes):
    inflater = Inflater("deflate", max_bytes=len(content))

    assert feed(inflater, raw_deflate(content), chunk_bytes=chunk_bytes) == content


@given(st.lists(contents, min_size=1, max_size=4), st.integers(1, 300))
def test_all_members_of_a_gzip_are_read(members, chunk_bytes):
    inflater = Inflater("gzip", max_bytes=sum(map(len, members)))
    compressed = b"".join(map(gzip.compress, members))

    assert feed(inflater, compressed, chunk_bytes=chunk_bytes) == b"".join(members)


@given(codings, st.integers(0, 5000))
def test_one_byte_more_than_the_limit_is_refused(coding, limit):
    compressed = COMPRESS[coding](b"a" * (limit + 1))

    with pytest.raises(TooLargeError):
        Inflater(coding, max_bytes=limit).feed(compressed)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_is_given_up_at_the_limit(coding):
    compressor = zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    bomb = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(200))
    inflater = Inflater(coding, max_bytes=1 << 20)

    with pytest.raises(TooLargeError):
        inflater.feed(bomb)

    assert inflater.size_bytes <= (1 << 20) + 1


@given(st.sampled_from(["gzip", "deflate"]), contents.filter(bool), st.data())
def test_cut_off_data_is_refused(coding, content, data):
    compressed = COMPRESS[coding](content)
    cut = data.draw(st.integers(1, len(compressed) - 1))
    inflater = Inflater(coding, max_bytes=len(content))

    with pytest.raises(MalformedRequestError):
        feed(inflater, compressed[:cut], chunk_bytes=100)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_data_that_is_not_compressed_as_said_is_refused(coding):
    with pytest.raises(MalformedRequestError, match=coding):
        Inflater(coding, max_bytes=100).feed(b"\xffnot compressed")


@pytest.mark.parametrize("coding", sorted(COMPRESS))
def test_nothing_stays_nothing(coding):
    assert Inflater(coding, max_bytes=100).finish() == b""


@pytest.mark.parametrize(
    ("header", "coding"),
    [
        (None, "identity"),
        ("", "identity"),
        ("identity", "identity"),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        (" deflate ", "deflate"),
    ],
)
def test_known_content_encodings_are_read(header, coding):
    assert parse_coding(header) == coding


@pytest.mark.parametrize("header", ["br", "zstd", "gzip, gzip"])
def test_other_content_encodings_are_unsupported(header):
    with pytest.raises(UnsupportedError, match="content encoding"):
        parse_coding(header)
