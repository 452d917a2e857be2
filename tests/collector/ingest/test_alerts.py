"""Whom backfilled runs are told to."""

import time

import pytest
from agent_runs import Run, protobuf_body
from webhook_sink import webhook_sink
from workshop import read_table

from collector.config import AlertSettings, load_settings
from collector.ingest import ingest_files
from collector.lake.local import LocalTarget

HOUR_NANO = 3_600 * 10**9


@pytest.mark.parametrize(("alert", "told"), [(False, 0), (True, 1)])
def test_backfilled_runs_are_findings_and_are_told_only_when_asked_for(
    tmp_path, alert, told
):
    run = Run(time.time_ns() - 30 * HOUR_NANO, steps=12)
    path = tmp_path / "run.pb"
    path.write_bytes(protobuf_body(run.spans()))
    with webhook_sink() as sink:
        settings = load_settings().model_copy(
            update={
                "data_dir": tmp_path / "data",
                "alerts": AlertSettings(webhook_url=sink.url),
            }
        )

        code = ingest_files(settings, [path], alert=alert)

        found = read_table(LocalTarget(tmp_path / "data" / "lake"), "findings")
        assert code == 0
        assert {row["rule"] for row in found} == {"context_growth"}
        assert len(sink.deliveries) == told
