"""A lake that is away when a role starts, and how its URL is shown."""

import threading

import pytest

from collector.config import load_settings
from collector.errors import ConfigError, LakeError
from collector.lake.opening import open_when_there
from collector.lake.target import open_target, shown_url
from collector.telemetry import read_statuses

SECRET_URL = "s3://key:s3cret@bucket/lake?endpoint_override=127.0.0.1:9&region=x"


def settings_of(folder, url):
    found = load_settings()
    store = found.store.model_copy(update={"url": url})
    return found.model_copy(update={"data_dir": folder, "store": store})


def fails(error):
    def open_lake():
        raise error

    return open_lake


def open_(settings, open_lake, *, away=lambda: None, stop=None):
    stop = stop or threading.Event()
    return open_when_there(open_lake, settings, "drain", away=away, stop=stop)


def test_a_bucket_that_is_away_is_waited_for_until_told_to_stop(tmp_path):
    settings = settings_of(tmp_path, SECRET_URL)
    stop = threading.Event()

    found = open_(settings, fails(LakeError("gone")), away=stop.set, stop=stop)

    status = read_statuses(settings.state_dir)["drain"]
    assert found is None
    assert not status["ready"]
    assert status["reason"] == "the lake is away: gone"


def test_a_role_says_once_that_it_is_up_and_opens_when_the_bucket_is_there(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("collector.lake.opening._FIRST_PAUSE_SECONDS", 0.001)
    outcomes = [OSError("refused"), LakeError("gone"), "lake"]
    said = []

    def open_lake():
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    found = open_(
        settings_of(tmp_path, SECRET_URL), open_lake, away=lambda: said.append(1)
    )

    assert found == "lake"
    assert said == [1]


@pytest.mark.parametrize(
    ("url", "error"),
    [(None, OSError("read-only")), (SECRET_URL, ConfigError("store.url: no"))],
)
def test_what_waiting_does_not_mend_is_said_at_once(tmp_path, url, error):
    with pytest.raises(type(error)):
        open_(settings_of(tmp_path, url), fails(error))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (SECRET_URL, "s3://bucket/lake"),
        ("gs://bucket/a/b", "gs://bucket/a/b"),
        ("data/lake", "data/lake"),
    ],
)
def test_a_url_is_shown_without_credentials(url, shown):
    assert shown_url(url) == shown


@pytest.mark.parametrize("url", [SECRET_URL, SECRET_URL + "&nonsense=1"])
def test_no_error_about_a_bucket_quotes_its_credentials(url):
    with pytest.raises((ConfigError, LakeError)) as caught:
        open_target(url).put("key", b"")

    assert "bucket" in str(caught.value)
    assert "s3cret" not in str(caught.value)
