"""How a policy wants one action carried out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from homeostat.catalogue import ACTIONS, ActionSpec


@dataclass(frozen=True, slots=True)
class Playbook:
    """An action with its parameters, the wait before the first verification and the time it has to succeed.

    `verifier` names another one of the catalogue than the action's own; empty means the action's own.
    """

    name: str
    action: str
    parameters: Mapping[str, float] = field(default_factory=dict)
    settle: timedelta = timedelta()
    verify_within: timedelta = timedelta(seconds=30)
    verifier: str = ""

    @property
    def spec(self) -> ActionSpec:
        """The action's entry in the catalogue; KeyError for a playbook that `policy_check` has not passed."""
        return ACTIONS[self.action]

    @property
    def verified_by(self) -> str:
        """The name of the verifier that judges the repair."""
        return self.verifier or self.spec.verifier

    def parameter(self, name: str) -> float:
        """Return a parameter's value, or the catalogue's default; KeyError if the action has none of that name."""
        defaults = {one.name: one.default for one in self.spec.parameters}
        return self.parameters.get(name, defaults[name])
