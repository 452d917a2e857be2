"""
Spans per second that receive alone acknowledges, durably.

    .venv/bin/python -P tests/bench/receive.py [--seconds 5] [--processes 1 2]

One client process keeps requests of 512 lean GenAI spans, no two of the same bytes, in
flight over gRPC. Each receive process has a data directory of its own; they share the
port. Afterwards the journals are read, and must hold at least what was acknowledged.
Prints one JSON line per number of receive processes: the median and best second, and
the CPU time of the receive processes while the clock ran.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import grpc.aio
import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from export_requests import different_requests, trace_request

from collector.journal import JournalReader

SPANS = 512
IN_FLIGHT_PER_PROCESS = 10
CHANNELS_PER_PROCESS = 5
METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
ROLE = """
import asyncio, json, signal, sys
import structlog, uvloop
from collector.config import Settings
from collector.receive.role import run_receive

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    def ready(addresses):
        print(json.dumps(addresses), flush=True)
    await run_receive(Settings(**json.loads(sys.argv[1])), ready=ready, stop=stop)

uvloop.run(main())
"""


def start(data_dir: Path, listen: str) -> tuple[subprocess.Popen[bytes], str]:
    settings = {
        "data_dir": str(data_dir),
        "grpc": {"listen": listen, "reuse_port": True},
        "http": {"listen": "127.0.0.1:0"},
    }
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", ROLE, json.dumps(settings)],
        stdout=subprocess.PIPE,
    )
    return process, json.loads(process.stdout.readline())["grpc"]


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def send(
    address: str, requests: Iterator[bytes], acknowledged: list[int], processes: int
) -> None:
    # The kernel spreads connections over the processes.
    async def keep_sending(channel: grpc.aio.Channel) -> None:
        export = channel.unary_unary(METHOD)
        while True:
            await export(next(requests))
            acknowledged[0] += 1

    channels = [
        grpc.aio.insecure_channel(
            address, options=[("grpc.use_local_subchannel_pool", 1)]
        )
        for _ in range(CHANNELS_PER_PROCESS * processes)
    ]
    await asyncio.gather(
        *(
            keep_sending(channels[number % len(channels)])
            for number in range(IN_FLIGHT_PER_PROCESS * processes)
        )
    )


async def measure(
    servers: list[subprocess.Popen[bytes]], address: str, seconds: int
) -> tuple[list[float], float, int]:
    acknowledged = [0]
    sending = asyncio.create_task(
        send(address, different_requests(SPANS), acknowledged, len(servers))
    )
    await asyncio.sleep(1)
    rates = []
    cpu_before, first = sum(map(cpu_seconds, servers)), acknowledged[0]
    for _ in range(seconds):
        count, begin = acknowledged[0], time.perf_counter()
        await asyncio.sleep(1)
        rates.append((acknowledged[0] - count) * SPANS / (time.perf_counter() - begin))
    cpu = sum(map(cpu_seconds, servers)) - cpu_before
    spans = (acknowledged[0] - first) * SPANS
    sending.cancel()
    await asyncio.wait([sending])
    return rates, cpu / spans * 1e6, acknowledged[0]


def stored_requests(data_dir: Path) -> int:
    reader = JournalReader.open(data_dir / "journal")
    count, position = 0, reader.committed
    while frames := reader.read(position, max_bytes=32 << 20):
        count += len(frames)
        position = frames[-1].end
    return count


def run(processes: int, seconds: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory(dir=".") as directory:
        data_dirs = [Path(directory) / str(number) for number in range(processes)]
        servers = []
        address = "127.0.0.1:0"
        for data_dir in data_dirs:
            server, address = start(data_dir, address)
            servers.append(server)
        rates, cpu_us, acknowledged = uvloop.run(measure(servers, address, seconds))
        for server in servers:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
        stored = [stored_requests(data_dir) for data_dir in data_dirs]
        assert sum(stored) >= acknowledged
        assert min(stored) > 0
    return {
        "stage": "receive",
        "processes": processes,
        "spans_per_request": SPANS,
        "bytes_per_span": round(trace_request(SPANS).ByteSize() / SPANS),
        "spans_per_second_median": round(statistics.median(rates)),
        "spans_per_second_best": round(max(rates)),
        "cpu_us_per_span": round(cpu_us, 2),
        "load_before": os.getloadavg()[0],
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    for processes in arguments.processes:
        print(json.dumps(run(processes, arguments.seconds)), flush=True)


if __name__ == "__main__":
    main()
