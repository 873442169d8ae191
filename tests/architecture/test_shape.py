"""The house rules that no linter knows: sizes, mirrored tests, names, and lists that must be whole."""

import ast
import re
import statistics
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from homeostat import catalogue
from homeostat_agent.actuator.actions import ACTIONS

ROOT = Path(__file__).parents[2]
DISTRIBUTIONS = {
    "domain": "domain/src/homeostat",
    "agent": "agent/src/homeostat_agent",
    "controller": "controller/src/homeostat_controller",
    "models": "models/src/homeostat_models",
}
GENERATED = "homeostat/wire/v1"
FUNCTION_MEDIAN_MAX = 8
FUNCTION_P95_MAX = 35
FUNCTION_MAX = 60
FILE_MAX = 300
BANNED_NAMES = re.compile(r"(^|_)(manager|handler|util|utils|common|helper|helpers|base)(_|$)", re.IGNORECASE)
# Names that a library calls by.
NAMED_BY_OTHERS = frozenset({"get_route_handler"})
# Files whose behaviour another suite holds: ports by their contract suites, tables and migrations by the store's.
TESTED_ELSEWHERE = re.compile(
    r"(/port\.py|/__init__\.py|/__main__\.py|/store/tables\.py|/store/migrations/.*|_child\.py)$"
)


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders or DISTRIBUTIONS.values():
        for path in sorted((ROOT / folder).rglob("*.py")):
            if GENERATED not in path.as_posix():
                yield path


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Names and lengths in lines, without decorators and docstring."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and ast.get_docstring(node):
                length -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", length


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_functions_are_short(distribution: str) -> None:
    lengths = dict(one for path in sources(DISTRIBUTIONS[distribution]) for one in functions(path))
    if not lengths:
        pytest.fail(f"{distribution} has no function")
    ordered = sorted(lengths.values())
    assert {name: n for name, n in lengths.items() if n > FUNCTION_MAX} == {}
    assert statistics.median(ordered) <= FUNCTION_MEDIAN_MAX
    assert ordered[int(len(ordered) * 0.95)] <= FUNCTION_P95_MAX


def test_files_are_short() -> None:
    long = {
        str(path.relative_to(ROOT)): n for path in sources() if (n := len(path.read_text().splitlines())) > FILE_MAX
    }
    assert long == {}


def test_every_source_file_has_its_test_file() -> None:
    missing = []
    for distribution, folder in DISTRIBUTIONS.items():
        for path in sources(folder):
            if TESTED_ELSEWHERE.search(path.as_posix()):
                continue
            inside = path.relative_to(ROOT / folder)
            expected = ROOT / "tests" / distribution / inside.parent / f"test_{inside.name}"
            if not expected.exists():
                missing.append(str(expected.relative_to(ROOT)))
    assert missing == []


def test_every_test_file_has_its_source_file() -> None:
    orphans = []
    for distribution, folder in DISTRIBUTIONS.items():
        for path in (ROOT / "tests" / distribution).rglob("test_*.py"):
            inside = path.relative_to(ROOT / "tests" / distribution)
            source = ROOT / folder / inside.parent / inside.name.removeprefix("test_")
            if not source.exists() and not (source.parent / source.stem).is_dir():
                orphans.append(str(path.relative_to(ROOT)))
    assert orphans == []


def test_no_name_that_excludes_nothing() -> None:
    bad = []
    for path in sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = [path.stem, path.parent.name]
        names += [
            n.name for n in ast.walk(tree) if isinstance(n, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        snake = [re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name) for name in names]
        bad += [
            f"{path.relative_to(ROOT)}: {name}"
            for name in snake
            if BANNED_NAMES.search(name) and name not in NAMED_BY_OTHERS
        ]
    assert bad == []


def test_every_module_says_why_it_exists() -> None:
    without = [str(p.relative_to(ROOT)) for p in sources() if not ast.get_docstring(ast.parse(p.read_text()))]
    assert without == []


def test_the_pure_contract_names_every_pure_module() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = next(c for c in settings["tool"]["importlinter"]["contracts"] if c["name"] == "The domain is pure")
    modules = {f"homeostat.{p.stem}" for p in (ROOT / DISTRIBUTIONS["domain"]).glob("*.py") if p.stem != "__init__"}
    assert set(contract["source_modules"]) == modules


def test_the_actuator_can_do_just_what_the_catalogue_lists() -> None:
    assert set(ACTIONS) == set(catalogue.ACTIONS)


def test_every_verifier_that_an_action_names_exists() -> None:
    for spec in catalogue.ACTIONS.values():
        assert catalogue.VERIFIERS[spec.verifier].subject_kind is spec.subject_kind
