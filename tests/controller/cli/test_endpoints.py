import csv
import io
import json

from fixtures_cli import Homeostat
from fixtures_web import Web
from ruamel.yaml import YAML


def test_the_fleet_as_a_table_for_people(homeostat: Homeostat, seen: Web) -> None:
    done = homeostat("endpoints", "list", at=seen)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].split()[:3] == ["ENDPOINT", "STATUS", "SITE"]
    assert [line.split()[0] for line in lines[1:]] == ["db-1", "kiosk-1", "web-1"]
    assert "\x1b" not in done.stdout


def test_the_fleet_for_programs(homeostat: Homeostat, seen: Web) -> None:
    as_json = json.loads(homeostat("endpoints", "list", "-q", "label.role:web", "-o", "json", at=seen).stdout)
    assert [(one["name"], one["labels"]) for one in as_json] == [("web-1", {"role": "web", "tier": "gold"})]
    as_yaml = YAML(typ="safe").load(homeostat("endpoints", "list", "-q", "web", "-o", "yaml", at=seen).stdout)
    assert as_yaml == as_json
    rows = list(csv.DictReader(io.StringIO(homeostat("endpoints", "list", "-o", "csv", at=seen).stdout)))
    assert [row["name"] for row in rows] == ["db-1", "kiosk-1", "web-1"]


def test_a_list_that_was_cut_says_so_beside_the_result(homeostat: Homeostat, seen: Web) -> None:
    done = homeostat("endpoints", "list", "--limit", "2", at=seen)
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == "2 of 3; --limit 0 shows all of them.\n"


def test_a_mistake_in_a_filter_is_a_mistake_in_usage(homeostat: Homeostat, seen: Web) -> None:
    done = homeostat("endpoints", "list", "-q", "statu:ok", at=seen)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "error: There is no field 'statu' to filter by.",
        "  why:  At character 1.",
        "  q:1: There is no field 'statu' to filter by.",
        "  next: Did you mean status?",
    ]


def test_one_endpoint(homeostat: Homeostat, seen: Web) -> None:
    done = homeostat("endpoints", "show", "web-1", at=seen)
    assert done.returncode == 0
    shown = [line.split() for line in done.stdout.splitlines()]
    assert ["Id", "ep-1"] in shown
    assert ["Services", "-"] in shown
    missing = homeostat("endpoints", "show", "no such thing", at=seen)
    assert missing.returncode == 1
    assert "There is no such thing." in missing.stderr
