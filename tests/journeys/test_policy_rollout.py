"""An administrator changes a policy: what is right reaches the endpoint, what is wrong changes nothing anywhere."""

from pathlib import Path
from typing import Any

import pytest
from _stage import POLICY, stage, until

from homeostat_controller.client.client import Client
from homeostat_controller.client.exits import CommandError

MALFORMED = sorted((Path(__file__).parents[1] / "malformed_policies").glob("*.yaml"))


def texts() -> dict[str, tuple[str, list[str]]]:
    """Each malformed policy that can be sent as text at all, with the places it must be refused at."""
    found = {}
    for file in MALFORMED:
        try:
            found[file.name] = file.read_bytes().decode(), expected(file)
        except UnicodeDecodeError:
            continue  # the command line refuses it before it is sent
    return found


def standing(api: Client, name: str) -> dict[str, Any]:
    """What the controller knows of an endpoint's policies."""
    row = next(one for one in api.items("/endpoints", 0) if one["name"] == name)
    detail: dict[str, Any] = api.get(f"/endpoints/{row['id']}")["policy_status"]
    return detail


def expected(file: Path) -> list[str]:
    """The places that a malformed file says it must be refused at."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.split()[2] for line in lines if line.startswith("# expect ")]


@pytest.mark.timeout(300)
def test_a_good_policy_arrives_and_no_bad_one_changes_anything() -> None:
    malformed = texts()
    assert len(malformed) >= 40
    with stage(period_s=1.0) as (_, api, (endpoint,)):
        first = standing(api, endpoint.name)["active"]
        made = api.post("/policies", {"text": POLICY.replace("name: bench", "name: bench\ndescription: The second.")})
        assert made["revision"] > first["revision"]
        until("the second revision", lambda: standing(api, endpoint.name)["active"]["revision"] == made["revision"])

        before = standing(api, endpoint.name)
        assert before["offered"] == before["active"]
        for name, (text, places) in malformed.items():
            with pytest.raises(CommandError) as refused:
                api.post("/policies", {"text": text, "file": name})
            assert [one for one in places if one not in refused.value.why] == [], (name, refused.value.why)
        assert standing(api, endpoint.name) == before

        elsewhere = POLICY.replace("name: bench", "name: elsewhere\nselect: {labels: {role: [no-such-role]}}")
        api.post("/policies", {"text": elsewhere})
        last = api.post("/policies", {"text": POLICY})
        until("the last revision", lambda: standing(api, endpoint.name)["active"]["revision"] == last["revision"])
        assert standing(api, endpoint.name)["rejected"]["name"] == ""
