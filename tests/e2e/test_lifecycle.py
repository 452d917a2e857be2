"""A service's life: started once, stopped cleanly, its ledger made again."""

import shutil
import subprocess
import time

import pytest
from agent_runs import Run, protobuf_body
from lake_queries import count_calls, ledger, pico_usd, query, rollups, stored_spans
from load import Load, post
from service import command, service, wait_until, write_config

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]

FAST = {"store": "flush_seconds = 0.1", "account": "tick_seconds = 0.2"}
# Hashes of content are keyed; two lakes compare equal only under one key.
CONTENT = 'hash_key = "the same for all"'


def run_command(config, *arguments):
    return subprocess.run(
        command(*arguments, "--config", str(config)),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def send(running, spans) -> None:
    assert post(running.addresses.http, protobuf_body(spans)) == 200


def costs_by_feature(lake):
    rows = query(
        lake, "SELECT feature, count(*), sum(cost_usd) FROM calls GROUP BY feature"
    )
    return {feature: (calls, pico_usd(cost)) for feature, calls, cost in rows}


def test_sigterm_under_load_stores_and_accounts_all_that_was_acknowledged(tmp_path):
    # Without the signal, the drain would let all of it wait.
    slow = {"store": "flush_seconds = 600"}

    with service(write_config(tmp_path, **slow)) as running:
        with Load(lambda: running.addresses, seed=3) as load:
            load.wait_for_requests(50)
            exit_code = running.stop()

        stored = stored_spans(running.lake)
        calls = query(running.lake, "SELECT span_id FROM calls")
        assert exit_code == 0, running.log_tail()
        assert len(stored) == len(set(stored))
        assert set(load.acknowledged) <= set(stored) <= set(load.sent)
        billed = {row[0] for row in calls}
        roots = {run.span_ids[0] for run in load.runs}
        assert set(load.acknowledged) - roots <= billed


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with service(write_config(tmp_path_factory.mktemp("life"), **FAST)) as running:
        yield running


def test_a_second_service_on_the_same_directory_is_refused_with_one_line(running):
    second = run_command(running.config, "serve")

    assert second.returncode == 1
    assert len(second.stderr.splitlines()) == 1
    assert str(running.data_dir) in second.stderr
    assert "in use" in second.stderr
    assert post(running.addresses.http, b"") == 200


def test_a_running_service_is_not_asked_to_tell_of_old_times(running, tmp_path):
    told = run_command(running.config, "ingest", "--alert", str(tmp_path))

    assert told.returncode == 1
    assert len(told.stderr.splitlines()) == 1
    assert "stop it first" in told.stderr


@pytest.fixture
def request_files(tmp_path):
    """Return three files with one run each; children in one, its root in another."""
    start = time.time_ns() - 3600 * 10**9
    runs = [Run(start, feature=name) for name in ("refund", "search", "digest")]
    folder = tmp_path / "requests"
    folder.mkdir()
    for run in runs:
        root, *chats = run.spans()
        (folder / f"{run.feature}-1.pb").write_bytes(protobuf_body(chats))
        (folder / f"{run.feature}-2.pb").write_bytes(protobuf_body([root]))
    return folder, runs


def test_ingest_gives_one_ledger_whether_a_service_runs_or_not_and_so_does_rebuild(
    tmp_path, request_files
):
    folder, runs = request_files
    (tmp_path / "with").mkdir()
    (tmp_path / "without").mkdir()
    config = write_config(tmp_path / "without", content=CONTENT)

    with service(write_config(tmp_path / "with", content=CONTENT, **FAST)) as running:
        through_service = run_command(running.config, "ingest", str(folder))
        running.stop()
    by_itself = run_command(config, "ingest", str(folder))

    lake = str(tmp_path / "without" / "data" / "lake")
    assert (through_service.returncode, by_itself.returncode) == (0, 0)
    assert costs_by_feature(lake) == {r.feature: (r.steps, r.cost) for r in runs}
    made_once = ledger(lake), rollups(lake)
    assert (ledger(running.lake), rollups(running.lake)) == made_once

    for table in ("calls", "runs", "rollups"):
        shutil.rmtree(f"{lake}/{table}")
    rebuilt = run_command(config, "rebuild")

    assert rebuilt.returncode == 0, rebuilt.stderr
    assert (ledger(lake), rollups(lake)) == made_once


def test_a_root_that_arrives_late_labels_its_children_again(running):
    run = Run(time.time_ns() - 10**10, feature="late")
    root, *chats = run.spans()

    send(running, chats)
    wait_until(lambda: count_calls(running.lake) == run.steps, what="children")
    unlabelled = costs_by_feature(running.lake)
    send(running, [root])
    wait_until(lambda: None not in costs_by_feature(running.lake), what="the label")

    assert unlabelled == {None: (run.steps, run.cost)}
    assert costs_by_feature(running.lake) == {"late": (run.steps, run.cost)}


def test_a_trace_that_left_the_working_tables_takes_its_late_spans(tmp_path):
    run, other = (Run(time.time_ns() - 10**10, feature=f) for f in ("late", "other"))
    root, *chats = run.spans()
    sections = FAST | {"account": "tick_seconds = 0.2\nwindow_hours = 0.0001"}

    with service(write_config(tmp_path, **sections)) as running:
        send(running, chats[:5])
        wait_until(lambda: count_calls(running.lake) == 5, what="the first five")
        send(running, other.spans())
        evicted = running.data_dir / "state" / "account" / "evicted"
        wait_until(
            lambda: list(evicted.glob("*.npy")), what="the first trace is let go"
        )
        send(running, [root, *chats[5:]])
        wait_until(
            lambda: costs_by_feature(running.lake).get("late", (0,))[0] == run.steps,
            what="the late spans",
        )

        running.stop()
        assert costs_by_feature(running.lake) == {
            "late": (run.steps, run.cost),
            "other": (other.steps, other.cost),
        }
        runs = query(running.lake, "SELECT trace_id, calls FROM runs ORDER BY ALL")
        assert runs == sorted((r.trace_id, r.steps) for r in (run, other))
