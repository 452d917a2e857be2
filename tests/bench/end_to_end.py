"""
Spans per second from a client's first request to the ledger, and what they cost.

    python -P tests/bench/end_to_end.py [--spans 1500000] [--in-flight 8]

One client process sends requests of 512 lean spans (agent runs of one root, seven chats
and six tools; about 420 bytes a span) over gRPC to the whole service. The clock runs
from the first request until every span is in ``lake/spans`` and every call in the
account role's ledger. Before it prints, the sums of the ledger are compared with what
was sent. Prints one JSON line: rates, processor time per span and process, and the peak
memory of the process tree: pages that processes share count in each.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import grpc.aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from service import service, write_config

from collector.account.tick import open_store
from collector.config import load_settings
from collector.lake.target import open_target

METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SPANS_PER_REQUEST = 512
CHATS, TOOLS = 7, 6
TICKS = os.sysconf("SC_CLK_TCK")


def fill_span(span, *, trace, number, parent, name, start, end, attributes):
    span.trace_id = trace
    span.span_id = number.to_bytes(8, "big")
    if parent:
        span.parent_span_id = parent.to_bytes(8, "big")
    span.name = name
    span.kind = Span.SPAN_KIND_CLIENT
    span.start_time_unix_nano = start
    span.end_time_unix_nano = end
    for key, value in attributes.items():
        entry = span.attributes.add(key=key)
        if isinstance(value, int):
            entry.value.int_value = value
        else:
            entry.value.string_value = value


def run_spans(trace, first, start):
    root = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "triage",
        "app.feature": f"feature-{first % 11}",
    }
    yield {
        "trace": trace,
        "number": first,
        "parent": 0,
        "name": "invoke_agent triage",
        "start": start,
        "end": start + 20_000_000_000,
        "attributes": root,
    }
    for step in range(CHATS):
        at = start + step * 2_000_000_000
        yield {
            "trace": trace,
            "number": first + 1 + 2 * step,
            "parent": first,
            "name": "chat gpt-4o",
            "start": at,
            "end": at + 900_000_000,
            "attributes": {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.response.model": "gpt-4o-2024-08-06",
                "gen_ai.response.id": f"chatcmpl-{trace.hex()[:20]}{step:04d}",
                "gen_ai.usage.input_tokens": 1000 + 700 * step,
                "gen_ai.usage.output_tokens": 50 + step,
                "gen_ai.usage.cache_read.input_tokens": 500 * step,
                "gen_ai.agent.step": step,
            },
        }
        if step < TOOLS:
            yield {
                "trace": trace,
                "number": first + 2 + 2 * step,
                "parent": first,
                "name": "execute_tool lookup",
                "start": at + 950_000_000,
                "end": at + 1_900_000_000,
                "attributes": {
                    "gen_ai.operation.name": "execute_tool",
                    "gen_ai.tool.name": "lookup",
                    "gen_ai.tool.call.id": f"call_{trace.hex()[:12]}{step}",
                },
            }


def all_spans():
    start = time.time_ns() - 3600 * 10**9
    number = 1
    while True:
        yield from run_spans(os.urandom(16), number, start)
        number += 32
        start += 1_000_000


def payloads(count):
    source = all_spans()
    for _ in range(count):
        request = ExportTraceServiceRequest()
        resource = request.resource_spans.add()
        entry = resource.resource.attributes.add(key="service.name")
        entry.value.string_value = "bench"
        scope = resource.scope_spans.add()
        scope.scope.name = "bench.app"
        for _ in range(SPANS_PER_REQUEST):
            fill_span(scope.spans.add(), **next(source))
        yield request.SerializeToString()


async def send(address, bodies, in_flight):
    options = [("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        export = channel.unary_unary(METHOD)
        waiting = iter(bodies)

        async def sender():
            for body in waiting:
                while True:
                    try:
                        await export(body)
                        break
                    except grpc.aio.AioRpcError as error:
                        if error.code() is not grpc.StatusCode.UNAVAILABLE:
                            raise
                        await asyncio.sleep(0.2)

        await asyncio.gather(*(sender() for _ in range(in_flight)))


def processor_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(pid, field="VmHWM"):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


def memory_kinds(pid):
    """Return MiB now: of the process's own, and of mapped files."""
    kinds = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(("RssAnon", "RssFile")):
            kinds[line.split(":")[0]] = int(line.split()[1]) >> 10
    return kinds


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("the service did not finish in time")
        time.sleep(0.25)


def spans_accounted(root):
    """Return the spans of the segments that count."""
    path = root / "manifest.json"
    if not path.exists():
        return 0
    return sum(entry["spans"] for entry in json.loads(path.read_text())["segments"])


def expected_sums(count):
    """Return spans, calls and input tokens of the first *count* spans."""
    run = list(run_spans(bytes(16), 1, 0))
    tokens = [span["attributes"].get("gen_ai.usage.input_tokens") for span in run]
    whole, rest = divmod(count, len(run))
    sent = [one for one in tokens * whole + tokens[:rest] if one is not None]
    return count, len(sent), sum(sent)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--spans", type=int, default=1_500_000)
    parser.add_argument("--in-flight", type=int, default=8)
    arguments = parser.parse_args()
    count = -(-arguments.spans // SPANS_PER_REQUEST)
    bodies = list(payloads(count))
    total, calls, tokens = expected_sums(count * SPANS_PER_REQUEST)
    with tempfile.TemporaryDirectory() as directory:
        config = write_config(Path(directory), top="shutdown_seconds = 120.0")
        settings = load_settings(config)
        with service(config) as running:
            pids = {"serve": running.process.pid} | running.role_pids()
            before = {name: processor_seconds(pid) for name, pid in pids.items()}
            client = time.process_time()
            started = time.monotonic()
            asyncio.run(send(running.addresses.grpc, bodies, arguments.in_flight))
            acknowledged = time.monotonic() - started
            client = time.process_time() - client
            state = settings.state_dir / "account"
            wait_for(lambda: spans_accounted(state) >= total, 600)
            done = time.monotonic() - started
            after = {name: processor_seconds(pid) for name, pid in pids.items()}
            memory = {name: resident_bytes(pid) for name, pid in pids.items()}
            store = open_store(settings)
            made = store.rows("calls", since_hour=0, columns=["input_tokens"])
            found = (made.num_rows, sum(made.column("input_tokens").to_pylist()))
            target = open_target(settings.lake_url)
            stored = sum(
                target.read(key, ["span_id"]).num_rows
                for key in target.keys("spans")
                if not key.endswith("empty.parquet")
            )
            anonymous = {name: memory_kinds(pid) for name, pid in pids.items()}
    if (stored, *found) != (total, calls, tokens):
        sys.exit(f"wrong sums: {(stored, *found)} instead of {(total, calls, tokens)}")
    print(
        json.dumps(
            {
                "bench": "end_to_end",
                "spans": total,
                "bytes_per_span": round(sum(map(len, bodies)) / total),
                "spans_per_second": round(total / done),
                "acknowledged_per_second": round(total / acknowledged),
                "cpu_us_per_span": {
                    name: round((after[name] - before[name]) / total * 1e6, 2)
                    for name in pids
                }
                | {"client": round(client / total * 1e6, 2)},
                "peak_resident_mib": {
                    name: size >> 20 for name, size in memory.items()
                },
                "resident_mib_now": anonymous,
                "total_resident_mib": sum(memory.values()) >> 20,
                "python": platform.python_version(),
                "cores": os.cpu_count(),
            }
        )
    )


if __name__ == "__main__":
    main()
