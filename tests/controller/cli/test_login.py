from pathlib import Path

from fixtures_cli import Homeostat
from fixtures_web import Web


def test_signed_in_once_every_command_knows_where(homeostat: Homeostat, seen: Web, tmp_path: Path) -> None:
    done = homeostat("login", seen.url, said=seen.token + "\n")
    assert done.returncode == 0
    assert "as admin" in done.stderr
    assert seen.token not in done.stdout + done.stderr
    kept = tmp_path / "config" / "homeostat" / "context.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert homeostat("endpoints", "list").returncode == 0
    assert homeostat("logout").returncode == 0
    assert homeostat("endpoints", "list").returncode == 2


def test_a_token_that_is_not_known_is_not_kept(homeostat: Homeostat, seen: Web, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("made-up\n")
    done = homeostat("login", seen.url, "--token-file", "token")
    assert done.returncode == 1
    assert "You are not signed in." in done.stderr
    assert not (tmp_path / "config" / "homeostat" / "context.json").exists()
    for nothing in ("", "two words"):
        assert homeostat("login", seen.url, said=nothing).returncode == 2
    assert homeostat("login", seen.url, "--token-file", "none").returncode == 1


def test_a_token_does_not_travel_in_the_clear(homeostat: Homeostat) -> None:
    done = homeostat("login", "http://homeostat.example", said="secret")
    assert done.returncode == 2
    assert "in the clear" in done.stderr
