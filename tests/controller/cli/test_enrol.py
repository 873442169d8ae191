import json

from fixtures_cli import Homeostat
from fixtures_web import Web


def test_the_token_alone_goes_to_stdout(homeostat: Homeostat, web: Web) -> None:
    made = homeostat("enrol", "token", "create", "--label", "role=web", "--minutes", "5", at=web)
    assert made.returncode == 0
    assert made.stdout.startswith("hst1:")
    assert len(made.stdout.splitlines()) == 1
    assert made.stdout.strip() not in made.stderr
    listed = json.loads(homeostat("enrol", "token", "list", "-o", "json", at=web).stdout)
    assert [(one["status"], one["labels"]) for one in listed] == [("open", {"role": "web"})]
    revoked = homeostat("enrol", "token", "revoke", listed[0]["id"], at=web)
    assert revoked.returncode == 0
    assert homeostat("enrol", "token", "revoke", listed[0]["id"], at=web).returncode == 1


def test_a_label_has_a_key_and_a_value(homeostat: Homeostat, seen: Web) -> None:
    done = homeostat("enrol", "token", "create", "--label", "role", at=seen)
    assert done.returncode == 2
    assert "Write it as KEY=VALUE" in done.stderr
