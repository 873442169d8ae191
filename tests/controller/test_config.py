"""Settings: defaults, a file, the environment over it; a mistake names its place, and no secret comes that way."""

import dataclasses
from pathlib import Path

import pytest

from homeostat_controller import config
from homeostat_controller.errors import Invalid


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "controller.toml"
    path.write_text(text)
    return path


def test_defaults_need_no_file() -> None:
    settings = config.load(None, {})
    assert settings.http_listen == "127.0.0.1:8440"
    assert settings.data_dir.name == "homeostat"
    assert settings.database == f"sqlite:///{settings.data_dir}/controller.db"
    assert settings.artifacts_dir == settings.data_dir / "artifacts"


def test_the_environment_counts_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, 'data_dir = "/var/lib/h"\nhttp_listen = "127.0.0.1:1"\n[limits]\nsessions_max = 7\n')
    environment = {"HOMEOSTAT_HTTP_LISTEN": "127.0.0.1:2", "HOMEOSTAT_NAMES": "one.example, 10.0.0.1"}
    settings = config.load(path, environment)
    assert (settings.http_listen, settings.data_dir) == ("127.0.0.1:2", Path("/var/lib/h"))
    assert settings.names == ("one.example", "10.0.0.1")
    assert settings.limits.sessions_max == 7


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("colour = 1", "colour"),
        ("[limits]\ncolour = 1", "limits.colour"),
        ('http_listen = "8440"', "write host:port"),
        ('http_listen = "a:99999"', "write host:port"),
        ("names = []", "at least one"),
        ('names = [""]', "at least one"),
        ("heartbeat_s = 0", "heartbeat_s"),
        ('log_level = "loud"', "log_level"),
        ("heartbeat_s =", "controller.toml"),
        ("[limits.session]\ninterval_s = 0.0\nburst = 1\nin_flight = 1", "interval_s"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said) as refused:
        config.load(written(tmp_path, text), {})
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no such file"):
        config.load(tmp_path / "nothing.toml", {})


def test_a_file_that_is_no_text_is_said(tmp_path: Path) -> None:
    path = tmp_path / "controller.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Invalid):
        config.load(path, {})


def test_a_password_in_the_environment_is_refused_and_not_repeated() -> None:
    with pytest.raises(Invalid, match="no place") as refused:
        config.load(None, {"HOMEOSTAT_DATABASE_URL": "postgresql://u:hunter2@h/d"})
    assert "hunter2" not in str(refused.value)
    assert config.load(None, {"HOMEOSTAT_DATABASE_URL": "postgresql://u@h/d"}).database == "postgresql://u@h/d"
    assert config.load(None, {"HOMEOSTAT_DATABASE_URL": "what?"}).database == "what?"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises((dataclasses.FrozenInstanceError, ValueError)):
        config.load(None, {}).heartbeat_s = 1.0
