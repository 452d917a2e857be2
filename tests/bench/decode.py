"""
Decode and normalise spans on one core.

    python -P tests/bench/decode.py [--captures DIR] [--megabytes 16] [--rounds 5]

Lean GenAI spans of about 420 bytes in requests of 512; with ``--captures`` also the mix
of all captured requests, over and over with other trace, span and response ids, until a
batch has as many bytes as the drain takes. Every span must come out, and the mix as
many calls as its requests have one by one. Prints one JSON line per input; seconds are
the process's own on one core, so that a busy machine disturbs them less.
"""

import argparse
import itertools
import json
import platform
import random
import re
import statistics
import sys
import time
from pathlib import Path

import pyarrow as pa
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from export_requests import trace_request

from collector.ingest.files import read_requests
from proto_handlers.normalise import normalise
from proto_handlers.otlp_traces import Payload, decode_traces

RESPONSE_IDS = re.compile(rb"(chatcmpl-|resp_|msg_|call_|toolu_)[0-9A-Za-z]{8}")
LEAN_SPANS = 512


def lean_payloads(size):
    requests = (
        trace_request(LEAN_SPANS, first=number * LEAN_SPANS).SerializeToString()
        for number in itertools.count()
    )
    return take_bytes(requests, size)


def take_bytes(requests, size):
    taken, total = [], 0
    while total < size:
        taken.append(next(requests))
        total += len(taken[-1])
    return taken


def captured_requests(folder):
    return [
        request
        for path in sorted(folder.glob("*/*/*.traces.*"))
        if path.suffix in {".pb", ".json"} and not path.name.endswith(".meta.json")
        for request in read_requests(path)
    ]


def renamed(request, dice):
    """Return the request's bytes with other ids of the same lengths."""
    ids = {
        name
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
        for name in (span.trace_id, span.span_id)
    }
    body = request.SerializeToString()
    for name in ids:
        body = body.replace(name, dice.randbytes(len(name)))
    digits = dice.randbytes(4).hex().encode()
    return RESPONSE_IDS.sub(rb"\g<1>" + digits, body)


def mixed_payloads(requests, size):
    dice = random.Random(7)
    return take_bytes(
        (renamed(request, dice) for request in itertools.cycle(requests)), size
    )


def run(payloads):
    decoded = decode_traces(payloads)
    return decoded.spans, normalise(decoded.spans, flat=decoded.flat)


def measure(name, bodies, rounds):
    payloads = [Payload(body, 1_764_000_000_000_000_000) for body in bodies]
    sent = sum(spans_in(body) for body in bodies)
    _, normalised = run(payloads)
    assert normalised.num_rows == sent
    seconds = []
    for _ in range(rounds):
        begin = time.process_time()
        decoded = decode_traces(payloads)
        middle = time.process_time()
        normalise(decoded.spans, flat=decoded.flat)
        seconds.append((middle - begin, time.process_time() - middle))
    totals = [sum(parts) for parts in seconds]
    return {
        "stage": "decode and normalise",
        "input": name,
        "spans": sent,
        "bytes_per_span": round(sum(map(len, bodies)) / sent),
        "median_spans_per_second": round(sent / statistics.median(totals)),
        "best_spans_per_second": round(sent / min(totals)),
        "decode_us_per_span": round(min(part[0] for part in seconds) / sent * 1e6, 2),
        "normalise_us_per_span": round(
            min(part[1] for part in seconds) / sent * 1e6, 2
        ),
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
    }


def spans_in(body):
    request = ExportTraceServiceRequest.FromString(body)
    return sum(
        len(scope.spans)
        for resource in request.resource_spans
        for scope in resource.scope_spans
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--captures", type=Path)
    parser.add_argument("--megabytes", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    pa.set_cpu_count(1)
    size = arguments.megabytes << 20
    inputs = {"lean": lean_payloads(size)}
    if arguments.captures:
        requests = captured_requests(arguments.captures)
        inputs["captured mix"] = mixed_payloads(requests, size)
    for name, bodies in inputs.items():
        print(json.dumps(measure(name, bodies, arguments.rounds)), flush=True)


if __name__ == "__main__":
    main()
