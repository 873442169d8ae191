"""How the endpoint is, in one word and a sentence: what `status` shows and the controller is told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from homeostat_agent.decider.care import Care, Phase


class Hindrance(StrEnum):
    """Why the agent only watches, whatever the policy allows. The first that holds is the one that is told."""

    STORE = "store"
    ACTUATOR = "actuator"
    POLICY = "policy"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Health:
    """`word` is ok, degraded, healing, waiting or observing; `detail` says why and is empty when ok."""

    word: str
    detail: str = ""


def judge(cases: Iterable[Care], hindrances: Mapping[Hindrance, str]) -> Health:
    """Return the health of an endpoint with these open incidents and these hindrances."""
    for hindrance in Hindrance:
        if hindrance in hindrances:
            return Health("observing", hindrances[hindrance])
    found = tuple(cases)
    healing = next((one for one in found if one.phase is Phase.HEALING), None)
    if healing is not None:
        return Health("healing", f"{_what(healing)} is being repaired.")
    waiting = [one for one in found if one.phase is Phase.WAITING]
    if waiting:
        return Health("waiting", _counted(waiting, "waits for a person"))
    # What the model alone finds unusual is shown as an incident; it does not make an endpoint unwell.
    unwell = [one for one in found if one.incident.evidence.signals]
    return Health("degraded", _counted(unwell, "is open")) if unwell else Health("ok")


def _what(care: Care) -> str:
    return f"{care.incident.fault} of {care.incident.subject}"


def _counted(cases: list[Care], what: str) -> str:
    more = f", and {len(cases) - 1} more" if len(cases) > 1 else ""
    return f"{_what(cases[0])} {what}{more}."
