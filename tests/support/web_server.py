"""A web app served on loopback for a block."""

import queue
import threading
from contextlib import contextmanager

import httpx2

from collector.web.server import serve_web


@contextmanager
def served(app):
    """Serve *app* on a free port and yield a client for it."""
    with (
        running(lambda **hooks: serve_web("127.0.0.1:0", app, **hooks)) as address,
        httpx2.Client(base_url=f"http://{address}", timeout=60) as client,
    ):
        yield client


@contextmanager
def running(serve):
    """Run *serve* in a thread for the block and yield the address it is ready on."""
    said = queue.Queue()
    stop = threading.Event()

    def run():
        try:
            serve(ready=said.put, stop=stop)
        except BaseException as error:
            said.put(error)
            raise

    thread = threading.Thread(target=run)
    thread.start()
    try:
        address = said.get(timeout=120)
        assert isinstance(address, str), address
        yield address
    finally:
        stop.set()
        thread.join()
