"""An S3 endpoint on loopback: moto, which speaks the protocol over HTTP."""

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator

from service import wait_until

_ADDRESS = re.compile(r"http://(127\.0\.0\.1:\d+)")


@contextlib.contextmanager
def s3_server(log_path, port=0) -> Iterator[str]:
    """Run a server with nothing in it for the block; give its ``host:port``."""
    with log_path.open("wb") as log_file:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
        )
    try:
        found = wait_until(
            lambda: process.poll() is not None or _ADDRESS.search(log_path.read_text()),
            what="an S3 server listens",
        )
        assert process.poll() is None, log_path.read_text()
        yield found[1]
    finally:
        process.kill()
        process.wait()


def bucket_url(address: str, bucket: str) -> str:
    """Return the URL of a bucket there, as ``store.url`` takes it; it is made."""
    return (
        f"s3://key:secret@{bucket}/lake?endpoint_override={address}&scheme=http"
        "&region=us-east-1&allow_bucket_creation=true"
    )
