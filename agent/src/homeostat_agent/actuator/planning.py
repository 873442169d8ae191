"""From a playbook to a plan, on facts read this moment. Proposals and healing runs plan alike."""

from dataclasses import dataclass

from homeostat.plan import Plan, Refusal
from homeostat_agent.actuator.actions import ACTIONS, Action
from homeostat_agent.actuator.fence import fenced
from homeostat_agent.actuator.host.port import Facts, Host, ServiceFacts
from homeostat_agent.actuator.order import Before, Params


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan or the pre-check's no, and what the subject was like before, where a verifier asks for that."""

    plan: Plan | Refusal
    before: Before | None = None


def plan_afresh(host: Host, action: str, params: Params) -> Planned:
    """Read the facts that the action needs now, and plan on them. Whatever goes wrong is a refusal."""
    return fenced(lambda: _plan(host, ACTIONS[action], params), _failed, f"{action} on {params.subject}")


def _plan(host: Host, kind: Action, params: Params) -> Planned:
    facts = host.read(kind.needs(params))
    return Planned(kind.plan(facts, params), _before(facts))


def _failed(reason: str) -> Planned:
    return Planned(Refusal(f"The pre-check failed: {reason}"))


def _before(facts: Facts) -> Before | None:
    for fact in facts.values():
        if isinstance(fact, ServiceFacts):
            return Before(fact.pid, fact.started, fact.at)
    return None
