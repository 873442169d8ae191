import json

from fixtures_cli import Homeostat
from fixtures_web import Web
from sqlalchemy import text


def test_the_record_is_shown_exported_and_proved(homeostat: Homeostat, web: Web) -> None:
    homeostat("enrol", "token", "create", at=web)
    tail = homeostat("audit", "tail", "-n", "1", at=web)
    assert tail.stdout.splitlines()[1].split()[3:6] == ["admin", "create", "enrolment-token"]
    exported = [json.loads(line) for line in homeostat("audit", "export", at=web).stdout.splitlines()]
    assert [one["sequence"] for one in exported] == list(range(1, len(exported) + 1))
    assert homeostat("audit", "verify", at=web).returncode == 0
    with web.core.database.write() as connection:
        connection.execute(text("UPDATE audit_entry SET verb = 'nothing' WHERE sequence = 1"))
    broken = homeostat("audit", "verify", at=web)
    assert broken.returncode == 1
    assert "entry 1 was changed" in broken.stderr
