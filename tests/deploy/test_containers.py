"""Image, Compose file and Collector example: right as read."""

import re
import tomllib
from pathlib import Path

import pytest
from plain_yaml import parse

from collector.config import Settings, load_settings
from collector.sections import split_listen

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PORTS = {4317, 4318, 4319}


@pytest.fixture(scope="module")
def instructions():
    """Return the Dockerfile's instructions in order: word and the rest."""
    text = re.sub(r"(?m)^#.*\n", "", (DEPLOY / "Dockerfile").read_text())
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [tuple(line.split(maxsplit=1)) for line in lines if line.strip()]


@pytest.fixture(scope="module")
def stages(instructions):
    """Return the instructions of each stage."""
    starts = [n for n, (word, _) in enumerate(instructions) if word == "FROM"]
    ends = [*starts[1:], None]
    return [instructions[a:b] for a, b in zip(starts, ends, strict=True)]


@pytest.fixture
def image_settings(stages, monkeypatch):
    """Return the settings that a container starts with."""
    for word, rest in stages[-1]:
        if word == "ENV":
            for assignment in rest.split():
                name, value = assignment.split("=", 1)
                if name.startswith("SPANLEDGER_"):
                    monkeypatch.setenv(name, value)
    return load_settings()


def words(stage, wanted):
    return [rest for word, rest in stage if word == wanted]


def test_the_image_has_two_stages_of_one_base_and_keeps_no_build_tools(stages):
    build, final = stages

    assert build[0][1] == f"{final[0][1]} AS build"
    assert words(final, "COPY") == ["--from=build /opt/spanledger /opt/spanledger"]


def test_the_image_is_built_from_every_package_of_the_wheel(stages):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    taken = (ROOT / ".dockerignore").read_text().split()

    copied = " ".join(words(stages[0], "COPY")).split()

    assert set(packages) <= set(copied)
    assert {f"!{name}" for name in copied if not name.startswith(".")} <= set(taken)


def test_the_image_runs_as_no_root_and_stops_as_the_service_does(stages):
    final = stages[-1]

    assert words(final, "USER") == ["10001:10001"]
    assert words(final, "STOPSIGNAL") == ["SIGTERM"]
    assert words(final, "ENTRYPOINT") == ['["spanledger"]']
    assert words(final, "CMD") == ['["serve"]']


def test_the_image_listens_where_its_ports_are_and_keeps_data_in_its_volume(
    stages, image_settings
):
    listens = [getattr(image_settings, name).listen for name in ("grpc", "http", "web")]

    assert [split_listen(listen)[0] for listen in listens] == ["0.0.0.0"] * 3
    assert {split_listen(listen)[1] for listen in listens} == PORTS
    assert {int(port) for port in words(stages[-1], "EXPOSE")[0].split()} == PORTS
    assert words(stages[-1], "VOLUME") == [f'["{image_settings.data_dir}"]']


def test_the_health_of_the_image_is_its_readiness_on_the_web_port(
    stages, image_settings
):
    (check,) = words(stages[-1], "HEALTHCHECK")
    _, port = split_listen(image_settings.web.listen)

    assert f"http://127.0.0.1:{port}/readyz" in check


@pytest.fixture(scope="module")
def compose():
    return parse((DEPLOY / "compose.yaml").read_text())


def test_compose_waits_for_a_clean_stop_and_keeps_the_data(compose, image_settings):
    service = compose["services"]["spanledger"]
    volume, _, place = service["volumes"][0].partition(":")

    seconds = int(service["stop_grace_period"].removesuffix("s"))
    assert seconds > Settings().shutdown_seconds
    assert place == str(image_settings.data_dir)
    assert volume in compose["volumes"]


def test_compose_builds_the_image_and_gives_it_no_rights(compose):
    service = compose["services"]["spanledger"]
    context = DEPLOY / service["build"]["context"]

    assert (context / service["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] == "true"


def test_compose_passes_on_settings_that_exist(compose, monkeypatch):
    for name in compose["services"]["spanledger"]["environment"]:
        monkeypatch.setenv(name, "https://example.com")

    assert load_settings().alerts.webhook_url == "https://example.com"


def test_the_collector_stands_in_front_with_its_own_ports_alone_open(compose):
    collector = compose["services"]["otel-collector"]
    source, target, _ = collector["volumes"][0].split(":")

    assert (DEPLOY / source).exists()
    assert collector["command"] == [f"--config={target}"]
    assert collector["ports"] == ["4317:4317", "4318:4318"]
    assert compose["services"]["spanledger"]["ports"] == ["127.0.0.1:4319:4319"]


@pytest.fixture(scope="module")
def collector_config():
    return parse((DEPLOY / "otel-collector.example.yaml").read_text())


def test_every_pipeline_of_the_collector_is_made_of_parts_that_are_there(
    collector_config,
):
    pipelines = collector_config["service"]["pipelines"]

    assert set(pipelines) == {"traces", "logs"}
    for pipeline in pipelines.values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(collector_config[kind])


def test_the_collector_sends_to_the_service_and_never_gives_up(
    collector_config, compose
):
    exporter = collector_config["exporters"]["otlp/spanledger"]
    host, port = split_listen(exporter["endpoint"])

    assert host in compose["services"]
    assert port == split_listen(Settings().grpc.listen)[1]
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0"
