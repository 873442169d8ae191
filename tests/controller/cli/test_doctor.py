import json

from fixtures_cli import Homeostat
from fixtures_web import Web


def test_everything_that_works_and_what_to_do_next(homeostat: Homeostat, seen: Web) -> None:
    done = homeostat("doctor", "-o", "json", at=seen)
    assert done.returncode == 0
    found = {one["check"]: one for one in json.loads(done.stdout)}
    assert [one["state"] for one in found.values()][:5] == ["ok"] * 5
    assert found["policies"]["next"] == "homeostat policy new NAME"
    assert found["endpoints"]["next"] == "homeostat endpoints list -q status:offline"
    assert found["approvals"]["why"] == "1 wait for you."


def test_a_controller_that_is_not_there(homeostat: Homeostat) -> None:
    done = homeostat("--server", "http://127.0.0.1:9", "doctor")
    assert done.returncode == 5
    assert "homeostat controller run" in done.stdout


def test_no_controller_at_all(homeostat: Homeostat) -> None:
    done = homeostat("doctor")
    assert done.returncode == 2
    assert "homeostat login" in done.stdout


def test_a_token_that_is_not_known(homeostat: Homeostat, seen: Web) -> None:
    done = homeostat("--server", seen.url, "doctor", "-o", "json")
    assert done.returncode == 1
    states = {one["check"]: one["state"] for one in json.loads(done.stdout)}
    assert (states["answers"], states["signed in"]) == ("ok", "failed")
