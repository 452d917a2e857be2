import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from agent_lake import FIRST, TRACE, build_agent_lake
from lake_builder import build_lake

from collector import cli, doctor, reference
from collector.cli import main
from collector.config import Settings, load_settings

REPOSITORY = Path(__file__).resolve().parents[2]
HEAVY = ("pyarrow", "duckdb", "grpc", "pydantic", "numpy", "starlette", "structlog")


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("SPANLEDGER_DATA_DIR", str(tmp_path))
    for name in ("GRPC", "HTTP", "WEB"):
        monkeypatch.setenv(f"SPANLEDGER_{name}__LISTEN", "127.0.0.1:0")
    build_agent_lake(tmp_path / "lake")
    return tmp_path


def test_help_and_wrong_usage_import_nothing_heavy():
    code = (
        "import sys; from collector.cli import build_parser;"
        " build_parser().format_help();"
        f" print([name for name in {HEAVY!r} if name in sys.modules])"
    )

    said = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True
    )

    assert said.stdout.strip() == "[]"


def test_the_module_is_the_command():
    said = subprocess.run(
        [sys.executable, "-P", "-m", "collector", "version"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout.startswith("spanledger ")


VERBS = (
    ["serve"],
    ["receive"],
    ["drain"],
    ["account"],
    ["demo"],
    ["ingest", "f.pb", "--alert"],
    ["sql", "SELECT 1", "--since", "7d", "--until", "1d", "--format", "csv"],
    ["report", "features", "--since", "7d", "--format", "json", "--limit", "5"],
    ["trace", TRACE],
    ["explain", TRACE, FIRST],
    ["rebuild"],
    ["doctor", "--format", "json"],
    ["rules", "list"],
    ["rules", "test", "budget"],
    ["alerts", "list"],
    ["alerts", "test"],
    ["alerts", "retry", "msg_1"],
    ["alerts", "silence", "--rule", "budget", "--scope", "feature=x", "--for", "2h"],
    ["prices", "show", "gpt-4o", "--at", "2026-01-01"],
    ["version"],
    ["docs", "folder"],
)


@pytest.mark.parametrize("written", VERBS, ids=" ".join)
def test_every_verb_is_understood_and_takes_a_settings_file(written):
    parsed = cli.build_parser().parse_args([*written, "--config", "my.toml"])

    assert callable(parsed.run)
    assert parsed.config == Path("my.toml")


@pytest.mark.parametrize(
    "written",
    [
        [],
        ["nope"],
        ["report", "bills"],
        ["report", "features", "--limit", "0"],
        ["sql"],
        ["sql", "SELECT 1", "--since", "soon"],
        ["sql", "SELECT 1", "--format", "xml"],
        ["alerts", "silence", "--scope", "feature"],
        ["explain", TRACE],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(written, capsys):
    with pytest.raises(SystemExit) as caught:
        main(written)

    assert caught.value.code == 2
    assert "usage: spanledger" in capsys.readouterr().err


def test_a_settings_file_counts_before_and_after_the_verb(tmp_path, capsys):
    for written in (
        ["--config", "no.toml", "sql", "x"],
        ["sql", "x", "--config", "no.toml"],
    ):
        assert main(written) == 1

        assert "no.toml: No such file" in capsys.readouterr().err


def test_an_error_is_one_line_with_its_hint(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SPANLEDGER_DATA_DIR", str(tmp_path / "none"))

    assert main(["report", "features"]) == 1

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("spanledger: lake: ")
    assert said.err.count("\n") == 1
    assert "spanledger serve" in said.err


def test_sql_reads_the_lake(data_dir, capsys):
    assert (
        main(["sql", "SELECT sum(cost_usd) AS usd FROM calls", "--format", "csv"]) == 0
    )

    assert capsys.readouterr().out == "usd\n0.750000000000\n"


def test_sql_reads_its_statement_from_standard_input(data_dir, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin.read", lambda: "SELECT 1 AS one", raising=False)

    class Written:
        def read(self):
            return "SELECT 1 AS one"

    monkeypatch.setattr("sys.stdin", Written())

    assert main(["sql", "-", "--format", "csv"]) == 0

    assert capsys.readouterr().out == "one\n1\n"


def test_a_failed_query_exits_with_1(data_dir, capsys):
    assert main(["sql", "SELECT nope FROM calls"]) == 1

    assert "nope" in capsys.readouterr().err


def test_a_report_shows_rows_and_coverage(data_dir, capsys):
    assert main(["report", "features", "--since", "1d"]) == 0

    said = capsys.readouterr().out
    assert "refund" in said
    assert "0.750000" in said
    assert "2 calls from" in said
    assert "priced: 100 % of tokens" in said


def test_a_report_is_json_for_programs(data_dir, capsys):
    assert main(["report", "features", "--format", "json"]) == 0

    document = json.loads(capsys.readouterr().out)
    assert document["rows"][0]["cost_usd"] == "0.750000000000"
    assert document["summary"]["coverage"] == 1.0


def test_a_report_of_an_empty_lake_is_empty(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SPANLEDGER_DATA_DIR", str(tmp_path))
    build_lake(tmp_path / "lake")

    assert main(["report", "growth"]) == 0

    assert "no calls in this time" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_a_trace_is_shown(data_dir, capsys, form):
    assert main(["trace", TRACE, "--format", form]) == 0

    assert "invoke_agent triage" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["table", "json"])
def test_a_cost_is_explained(data_dir, capsys, form):
    assert main(["explain", TRACE, FIRST, "--format", form]) == 0

    assert "book1" in capsys.readouterr().out


def test_rules_are_listed_and_tried(data_dir, capsys):
    assert main(["rules", "list", "--format", "csv"]) == 0
    assert main(["rules", "test"]) == 0

    assert "context_growth,true" in capsys.readouterr().out


def test_prices_are_shown_and_a_missing_one_is_a_failure(data_dir, capsys):
    assert main(["prices", "show", "gpt-4o", "--provider", "openai"]) == 0
    assert main(["prices", "show", "no-such-model"]) == 1
    assert main(["prices", "show", "gpt-4o-minni", "--provider", "openai"]) == 1

    said = capsys.readouterr().out
    assert "million tokens" in said
    assert "names like it: gpt-4o-mini" in said
    assert "unknown_model" in said


def test_a_silence_is_made_listed_and_ended(data_dir, capsys):
    assert main(["alerts", "silence", "--rule", "budget", "--for", "2h"]) == 0
    assert main(["alerts", "list", "--format", "json"]) == 0
    assert main(["alerts", "silence", "--end", "1"]) == 0
    assert main(["alerts", "silence", "--end", "1"]) == 1

    said = capsys.readouterr()
    assert '"rule": "budget"' in said.out
    assert "no silence 1" in said.err


def test_a_test_alert_without_a_webhook_says_what_to_set(data_dir, capsys):
    assert main(["alerts", "test"]) == 1

    assert "alerts.webhook_url" in capsys.readouterr().err


def test_the_pages_of_the_documentation_are_those_of_the_code(tmp_path):
    written = reference.write_pages(tmp_path)

    assert {path.name for path in written} == {
        "configuration.md",
        "columns.md",
        "reports.md",
    }
    for path in written:
        committed = REPOSITORY / "docs" / path.name
        assert path.read_text() == committed.read_text(), "run make docs"


def test_every_setting_has_a_meaning_on_its_page():
    page = reference.configuration_page()
    rows = [line for line in page.splitlines() if line.startswith("| `")]

    assert len(rows) > 40
    assert all(row.split("|")[4].strip() for row in rows)


def test_doctor_finds_nothing_wrong_with_a_good_directory(data_dir, capsys):
    assert main(["doctor", "--format", "json"]) == 0

    checks = json.loads(capsys.readouterr().out)
    assert {"packages", "data_dir", "ports", "lake", "prices", "rules"} <= {
        check["check"] for check in checks
    }
    assert {check["status"] for check in checks} <= {"ok", "warn"}


def test_doctor_fails_on_a_setting_that_is_none(data_dir, monkeypatch, capsys):
    monkeypatch.setenv("SPANLEDGER_JURNAL__MAX_BYTES", "1")

    assert main(["doctor"]) == 1

    assert "fail  settings      settings: unknown variable" in capsys.readouterr().out


def test_doctor_hides_secrets(data_dir, monkeypatch, capsys):
    monkeypatch.setenv("SPANLEDGER_CONTENT__HASH_KEY", "the-secret")
    monkeypatch.setenv("SPANLEDGER_ALERTS__WEBHOOK_URL", "http://user:pass@h/the-path")

    main(["doctor"])

    said = capsys.readouterr().out
    assert "content.hash_key = **********" in said
    assert "the-secret" not in said
    assert "the-path" not in said


def test_doctor_tells_who_else_owns_our_names():
    owners = {"collector": ["spanledger"], "pricing": ["pricing", "spanledger"]}

    checks = list(doctor.check_packages(lambda: owners))

    assert checks[-1].status == "fail"
    assert checks[-1].finding == "pricing also belongs to pricing"


def test_doctor_finds_a_port_that_is_taken(data_dir, monkeypatch):
    monkeypatch.delenv("SPANLEDGER_GRPC__LISTEN")

    with socket.create_server(("127.0.0.1", 0)) as taken:
        host, port = taken.getsockname()
        settings = Settings(data_dir=data_dir, grpc={"listen": f"{host}:{port}"})

        checks = list(doctor.check_ports(settings))

    assert [check.status for check in checks] == ["ok", "fail", "ok", "ok"]


def test_doctor_finds_a_damaged_lake(data_dir):
    part = next((data_dir / "lake" / "calls").rglob("part.parquet"))
    part.write_bytes(b"nothing")

    checks = doctor.examine(None)

    assert [c.status for c in checks if c.check == "lake"] == ["fail"]


def test_doctor_finds_a_budget_of_an_unknown_dimension(data_dir):
    budget = {"name": "odd", "dimension": "planet", "limit": "1"}

    checks = list(doctor.check_settings(Settings(budgets=(budget,))))

    assert checks[-1].finding == "odd: calls has no column planet"


def test_doctor_knows_the_disk_by_its_longest_mount(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/a / ext4 rw 0 0\n"
        f"server:/x {tmp_path} nfs4 rw 0 0\n"
        f"/dev/b {tmp_path}\\040other ext4 rw 0 0\n"
    )

    assert doctor.disk_kind(tmp_path / "data", mounts) == "nfs4"
    assert doctor.disk_kind(Path("/usr"), mounts) == "ext4"


def test_the_defaults_are_settings_that_load(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    assert load_settings().data_dir == Path("data")
