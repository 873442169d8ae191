"""Pages do not point at nothing, and what is generated is what stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from homeostat import catalogue
from homeostat.diagnosis import FaultClass
from homeostat_controller.policies import document

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").glob("*.md")])
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = [target for target in LINK.findall(page.read_text()) if not (page.parent / target).exists()]
    assert dead == []


def test_the_healing_diagram_is_the_table() -> None:
    found = subprocess.run(
        [sys.executable, "tools/healing-diagram", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout


def test_every_bench_in_the_readme_exists_and_the_other_way_round() -> None:
    named = set(re.findall(r"`bench/(\w+\.py)`", (ROOT / "bench" / "README.md").read_text()))
    there = {path.name for path in (ROOT / "bench").glob("*.py") if not path.name.startswith("_")}
    assert named == there


def test_the_policy_on_the_page_is_one_that_can_be_published() -> None:
    page = (ROOT / "docs" / "policies.md").read_text()
    example = page.split("```yaml\n")[1].split("```")[0]
    assert document.compile_policy(example).problems == ()


def test_the_page_on_policies_names_all_there_is() -> None:
    page = (ROOT / "docs" / "policies.md").read_text()
    words = {*catalogue.ACTIONS, *catalogue.THRESHOLDS, *catalogue.VERIFIERS, *FaultClass}
    assert [word for word in words if f"`{word}`" not in page] == []
