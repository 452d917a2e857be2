"""Settings: where they come from and what is refused."""

import pytest

from collector.config import load_settings
from collector.errors import ConfigError


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    monkeypatch.delenv("SPANLEDGER_CONFIG", raising=False)


def write(folder, text):
    path = folder / "spanledger.toml"
    path.write_text(text)
    return path


def test_defaults_work_with_no_file_at_all():
    settings = load_settings()

    assert settings.grpc.listen == "127.0.0.1:4317"
    assert settings.lake_url == "data/lake"


def test_the_environment_goes_before_the_file(tmp_path, monkeypatch):
    path = write(tmp_path, "[store]\nflush_seconds = 9\nflush_spans = 7\n")
    monkeypatch.setenv("SPANLEDGER_STORE__FLUSH_SECONDS", "1.5")

    store = load_settings(path).store

    assert (store.flush_seconds, store.flush_spans) == (1.5, 7)


def test_the_file_can_be_named_by_a_variable(tmp_path, monkeypatch):
    monkeypatch.setenv(
        "SPANLEDGER_CONFIG", str(write(tmp_path, 'data_dir = "elsewhere"'))
    )

    assert str(load_settings().data_dir) == "elsewhere"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[store]\nflush_secs = 1\n", "store.flush_secs"),
        ("[stroe]\n", "stroe"),
        ('[grpc]\nlisten = "4317"\n', "grpc.listen"),
        ("[receive]\nmax_request_bytes = 0\n", "receive.max_request_bytes"),
        ('[[budgets]]\nname = "b"\nlimit = "ten"\n', "budgets"),
        ('[receive.tls]\ncert_file = "a.pem"\n', "receive.tls"),
    ],
)
def test_a_bad_setting_is_refused_by_name(tmp_path, text, named):
    with pytest.raises(ConfigError, match=named) as caught:
        load_settings(write(tmp_path, text))

    assert "\n" not in str(caught.value)


def test_an_unknown_variable_is_refused_by_name(monkeypatch):
    monkeypatch.setenv("SPANLEDGER_STROE__URL", "x")

    with pytest.raises(ConfigError, match="SPANLEDGER_STROE__URL"):
        load_settings()


def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path):
    with pytest.raises(ConfigError, match="none.toml: No such file"):
        load_settings(tmp_path / "none.toml")


def test_secrets_do_not_show(tmp_path):
    path = write(
        tmp_path,
        '[alerts]\nwebhook_url = "http://x"\nwebhook_secret = "whsec_c2VjcmV0"\n',
    )

    assert "c2VjcmV0" not in repr(load_settings(path))
