"""Pages do not point at nothing, and what is generated is what stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

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
