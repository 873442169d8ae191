"""Which published policy an endpoint gets: pure, and the same answer wherever it is asked.

Of the policies of the endpoint's organisation whose selector selects its labels: the highest priority, then the first
by name.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from homeostat.policy import Selector


@dataclass(frozen=True, slots=True)
class Candidate:
    """What assignment needs to know of a published policy. `sha256` is the hash of its signed payload."""

    organisation_id: str
    name: str
    revision: int
    sha256: bytes
    selector: Selector
    priority: int


def choose(candidates: Iterable[Candidate], organisation_id: str, labels: Mapping[str, str]) -> Candidate | None:
    """Return the policy of an endpoint with these labels, None when none selects it."""
    fitting = [one for one in candidates if one.organisation_id == organisation_id and one.selector.selects(labels)]
    return min(fitting, key=lambda one: (-one.priority, one.name), default=None)
