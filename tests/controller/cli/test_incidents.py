import json

import pytest
from fixtures_cli import Homeostat
from fixtures_web import Web


def test_incidents_and_their_way(homeostat: Homeostat, seen: Web) -> None:
    listed = homeostat("incidents", "list", "-q", "status:healed", "-o", "json", at=seen)
    assert [one["id"] for one in json.loads(listed.stdout)] == ["inc-1"]
    way = homeostat("incidents", "timeline", "inc-2", at=seen)
    assert [line.split()[0] for line in way.stdout.splitlines()][1:4] == ["detected", "decided", "asked"]
    shown = homeostat("incidents", "show", "inc-2", at=seen)
    assert "restart_service is of medium risk." in shown.stdout


@pytest.mark.parametrize(("incident", "code"), [("inc-1", 0), ("inc-2", 3)])
def test_waiting_ends_with_what_became_of_it(homeostat: Homeostat, seen: Web, incident: str, code: int) -> None:
    assert homeostat("incidents", "show", incident, "--wait", at=seen).returncode == code
