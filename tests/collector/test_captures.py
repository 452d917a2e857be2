"""What model servers were asked and what the ledger says, call sums compared."""

import json
from pathlib import Path

import pytest
from workshop import Workshop

from collector.ingest.files import read_requests

FOLDER = Path(__file__).parents[1] / "fixtures" / "captures"
SCENARIOS = sorted(
    str(path.parent.relative_to(FOLDER)) for path in FOLDER.glob("*/*/truth.json")
)
CLASSES = ("uncached_input_tokens", "cache_read_tokens", "cache_write_tokens")


def requests_of(folder):
    for path in sorted(folder.iterdir()):
        if {"traces", "logs"} & set(path.name.split(".")):
            yield from read_requests(path)


def truth_of(folder):
    truth = json.loads((folder / "truth.json").read_text())
    calls = [call for call in truth["calls"] if call["status"] == 200]
    written = [key for key in calls[0] if key.startswith("cache_write")]
    return {
        "calls": truth["billable_calls"],
        "uncached_input_tokens": sum(call["uncached_input"] for call in calls),
        "cache_read_tokens": sum(call["cache_read"] for call in calls),
        "cache_write_tokens": sum(call[key] for call in calls for key in written),
        "output_tokens": sum(call["output"] for call in calls),
    }


def sums_of(tables):
    billed = [row for row in tables["calls"] if row["cost_status"] != "not_billed"]
    names = (*CLASSES, "output_tokens")
    sums = {name: sum(row[name] or 0 for row in billed) for name in names}
    return {"calls": len(billed)} | sums


@pytest.mark.parametrize("order", ["as sent", "last first"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_sums_are_what_the_model_server_billed(scenario, order, tmp_path):
    folder = FOLDER / scenario
    requests = list(requests_of(folder))
    with Workshop(tmp_path, rollups=False, rules=False) as workshop:
        workshop.run(*(requests if order == "as sent" else requests[::-1]))

        tables = workshop.published()

    assert sums_of(tables) == truth_of(folder)


def test_a_library_that_drops_the_cache_is_said_to_do_so(tmp_path):
    folder = FOLDER / "otel-openai-v2" / "openai-chat"
    with Workshop(tmp_path, rollups=False, rules=False) as workshop:
        workshop.run(*requests_of(folder))

        (call,) = workshop.published()["calls"]

    assert (call["cache_read_tokens"], call["cache_write_tokens"]) == (None, None)
    assert call["cost_status"] == "partial"
    assert call["cost_reason"].startswith("cache_unknown")
