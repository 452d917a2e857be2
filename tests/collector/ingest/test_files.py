"""What files hold: requests of traces and of logs, by name or by content."""

import gzip

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from otlp_requests import key_values, request, span

from collector.config import load_settings
from collector.ingest import ingest_files
from collector.ingest.files import (
    find_files,
    read_requests,
    signal_of,
    split_request,
)
from collector.lake.local import LocalTarget
from proto_handlers.errors import DecodeError

TRACES = request(span(1, attributes={"a": "x" * 100}), span(2), scope="app")
LOGS = ExportLogsServiceRequest()
_scope = LOGS.resource_logs.add().scope_logs.add()
_scope.scope.name = "app"
for _number in range(3):
    _scope.log_records.add(attributes=key_values({"n": _number, "text": "x" * 100}))

LINES = (
    '{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "a"}]}]}]}\n'
    '{"resourceMetrics": []}\n\n'
    ' { "resourceLogs": [{"scopeLogs": [{"logRecords": [{"eventName": "b"}]}]}]}\n'
)
API_ERROR = {
    "event.name": "api_error",
    "session.id": "sess-1",
    "model": "claude-sonnet-4-5",
    "status_code": "529",
    "attempt": 11,
}


def items_of(message):
    """Return what is in a request, with its resource and scope."""
    signal = signal_of(message)
    return [
        (resource.resource, scope.scope, item)
        for resource in getattr(message, signal.resources)
        for scope in getattr(resource, signal.scopes)
        for item in getattr(scope, signal.items)
    ]


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "message"),
    [("001.traces.pb", TRACES), ("x.pb", TRACES), ("002.logs.pb", LOGS)],
)
def test_a_protobuf_file_is_of_the_signal_in_its_name(name, message, tmp_path):
    path = written(tmp_path, name, message.SerializeToString())

    assert list(read_requests(path)) == [message]


@pytest.mark.parametrize(
    ("name", "content"),
    [("1.traces.pb", TRACES.SerializeToString()), ("2.jsonl", LINES.encode())],
)
def test_a_compressed_file_holds_what_it_held_before(name, content, tmp_path):
    plain = written(tmp_path, name, content)
    compressed = written(tmp_path, f"{name}.gz", gzip.compress(content))

    assert list(read_requests(compressed)) == list(read_requests(plain))
    assert list(find_files([tmp_path])) == [plain, compressed]


@pytest.mark.parametrize("size", [0, 5, 30])
def test_a_file_cut_off_while_compressing_is_refused(size, tmp_path):
    whole = gzip.compress(TRACES.SerializeToString())
    path = written(tmp_path, "1.pb.gz", whole[:size] or b"not compressed")

    with pytest.raises(DecodeError, match="gzip: "):
        list(read_requests(path))


def test_metrics_are_passed_over(tmp_path):
    metrics = written(tmp_path, "003.metrics.pb", b"\x0a\x00")
    document = written(tmp_path, "m.json", '{"resourceMetrics": [{}]}')

    assert [*read_requests(metrics), *read_requests(document)] == []


@pytest.mark.parametrize("name", ["all.jsonl", "all.json"])
def test_lines_of_several_signals_are_told_apart_by_their_key(name, tmp_path):
    found = list(read_requests(written(tmp_path, name, LINES)))

    assert [type(one) for one in found] == [
        ExportTraceServiceRequest,
        ExportLogsServiceRequest,
    ]
    assert found[1].resource_logs[0].scope_logs[0].log_records[0].event_name == "b"


@pytest.mark.parametrize("whole", [TRACES, LOGS])
def test_the_parts_of_a_request_are_all_of_it(whole):
    parts = list(split_request(whole, max_bytes=150))

    assert len(parts) > 1
    assert [item for part in parts for item in items_of(part)] == items_of(whole)


def test_calls_in_log_files_reach_the_ledger(tmp_path, capsys):
    logs = ExportLogsServiceRequest()
    scope_logs = logs.resource_logs.add().scope_logs.add()
    scope_logs.scope.name = "com.anthropic.claude_code.events"
    scope_logs.log_records.add(time_unix_nano=1, attributes=key_values(API_ERROR))
    path = written(tmp_path, "001.logs.pb", logs.SerializeToString())
    settings = load_settings(data_dir=tmp_path / "data")

    assert ingest_files(settings, [path]) == 0

    assert "1 files, 0 spans taken, 0 refused" in capsys.readouterr().out
    target = LocalTarget(settings.data_dir / "lake")
    keys = [key for key in target.keys("calls") if not key.endswith("empty.parquet")]
    (call,) = target.read(keys[0]).to_pylist()
    assert (call["error_type"], call["attempt"]) == ("529", 11)
