"""What administrators write → the policy that agents decide by, with every problem at its line and column.

The text is read (`yaml_reader`), held against the document's shape (`document_shape`) and judged by the domain's
`policy_check`, in one pass: what one stage cannot use has a stand-in, so that the next can still look at the rest, and
nothing is said about a stand-in. There is a policy only where there is no problem.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from homeostat.policy import Policy
from homeostat.policy_check import Problem, check
from homeostat.policy_values import Path
from homeostat_controller.policies.document_models import PolicyDocument
from homeostat_controller.policies.document_shape import shaped, touches
from homeostat_controller.policies.document_text import to_yaml
from homeostat_controller.policies.yaml_reader import LocatedProblem, Reading, read

__all__ = ["PROBLEMS_MAX", "Compiled", "LocatedProblem", "compile_policy", "to_yaml"]

PROBLEMS_MAX = 100

# A misfit in one of these spoils only itself. What other sections refer to would make them look wrong, and a key that
# is not known may be such a section, misspelt.
_ALONE = frozenset(PolicyDocument.model_fields) - {"playbooks", "rules", "quiet_hours"}


@dataclass(frozen=True, slots=True)
class Compiled:
    """The policy of a text, or None and why not: every problem, in the order of the text."""

    policy: Policy | None
    problems: tuple[LocatedProblem, ...]


def compile_policy(source: str | bytes) -> Compiled:
    """Compile a policy's YAML; no text makes this raise.

    The policy's revision is 0: it is numbered at publication.
    """
    reading = read(source)
    problems = list(reading.problems)
    if not reading.whole:
        return Compiled(None, _ordered(problems))
    document, misfits = shaped(reading)
    problems += misfits
    if document is None:
        return Compiled(None, _ordered(problems))
    policy = document.policy()
    problems += _judged(policy, reading, reading.broken | {one.path for one in misfits})
    return Compiled(None if problems else policy, _ordered(problems))


def _judged(policy: Policy, reading: Reading, broken: AbstractSet[Path]) -> list[LocatedProblem]:
    if any(len(path) == 1 and path[0] not in _ALONE for path in broken):
        return []
    return [_located(one, reading) for one in check(policy) if not _about_a_stand_in(one, broken)]


def _about_a_stand_in(problem: Problem, broken: AbstractSet[Path]) -> bool:
    if any(touches(problem.path, path) for path in broken):
        return True
    return problem.between and any(path[:1] == problem.path[:1] for path in broken)


def _located(problem: Problem, reading: Reading) -> LocatedProblem:
    path, place = reading.place(problem.path)
    at = place.key if problem.at_key and path == problem.path else place.value
    return LocatedProblem(*at, problem.path, problem.sentence)


def _ordered(problems: list[LocatedProblem]) -> tuple[LocatedProblem, ...]:
    ordered = sorted(problems, key=lambda one: (one.line, one.column))
    if len(ordered) > PROBLEMS_MAX:
        last = ordered[PROBLEMS_MAX - 1]
        more = f"and {len(ordered) - PROBLEMS_MAX + 1} more problems"
        ordered[PROBLEMS_MAX - 1 :] = [LocatedProblem(last.line, last.column, (), more)]
    return tuple(ordered)
