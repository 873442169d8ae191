"""Policies in a shell: made, checked without a controller, published, followed."""

from pathlib import Path

from fixtures_cli import Homeostat
from fixtures_web import POLICY, Web


def test_from_nothing_to_published(homeostat: Homeostat, web: Web, tmp_path: Path) -> None:
    assert homeostat("policy", "new", "web-tier").returncode == 0
    again = homeostat("policy", "new", "web-tier")
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    checked = homeostat("policy", "check", "web-tier.yaml")
    assert (checked.returncode, checked.stdout) == (0, "")
    published = homeostat("policy", "publish", "web-tier.yaml", at=web)
    assert published.returncode == 0
    assert "web-tier" in published.stdout
    shown = homeostat("policy", "show", "web-tier", at=web)
    assert (tmp_path / "web-tier.yaml").read_text().strip() in shown.stdout
    assert homeostat("policy", "list", at=web).stdout.splitlines()[1].split()[:2] == ["web-tier", "1"]
    status = homeostat("policy", "status", "web-tier", at=web)
    assert [line.split()[:2] for line in status.stdout.splitlines()[1:]] == [
        ["db-1", "pending"],
        ["kiosk-1", "pending"],
        ["web-1", "pending"],
    ]
    unsettled = homeostat("policy", "publish", "web-tier.yaml", "--wait", "--timeout", "0.5", at=web)
    assert unsettled.returncode == 1


def test_mistakes_are_found_without_a_controller_at_their_place(homeostat: Homeostat, tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_text(POLICY.replace("level: ask", "level: sometimes"))
    done = homeostat("policy", "check", "web.yaml")
    assert done.returncode == 1
    assert done.stdout.startswith("web.yaml:9:12 ")
    assert done.stderr == ""


def test_publishing_a_mistake_changes_nothing_and_says_where(homeostat: Homeostat, web: Web, tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(POLICY.replace("do: [restart]", "do: [nothing]"))
    done = homeostat("policy", "publish", "web.yaml", at=web)
    assert done.returncode == 1
    assert "The policy was not published." in done.stderr
    assert "Nothing changed anywhere." in done.stderr
    assert "web.yaml:8:" in done.stderr


def test_files_that_cannot_be_read(homeostat: Homeostat, tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large").write_bytes(b" " * ((1 << 20) + 1))
    for name, why in (("none", "does not exist"), ("binary", "cannot be read"), ("large", "is too large")):
        done = homeostat("policy", "check", name)
        assert done.returncode == 2
        assert why in done.stderr
