"""Is the subject well? Told from facts read after the repair, never from the repair's own success.

The keys equal the domain's catalogue, which a test asserts. What cannot be read is Unknown: it never counts as well.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from homeostat_agent.actuator.host.port import (
    FactQuery,
    Facts,
    FolderFacts,
    FolderQuery,
    Missing,
    ProcessesQuery,
    ProgramFacts,
    ServiceFacts,
    ServiceQuery,
    ServiceStatus,
)
from homeostat_agent.actuator.order import Before, Params

# As long as the plan's own measurement, so that both mean the same by "too much".
MEASURED_S = 0.5


@dataclass(frozen=True, slots=True)
class Well:
    """The subject is well; `detail` says by what that shows."""

    detail: str


@dataclass(frozen=True, slots=True)
class NotWell:
    """The subject is not well; `final`: nothing will change that any more, so waiting is of no use."""

    reason: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The facts could not be read."""

    reason: str


Verdict = Well | NotWell | Unknown


@dataclass(frozen=True, slots=True)
class Verifier:
    """One way to tell: the facts it needs, and the judgement on them (with what was there before the repair)."""

    needs: Callable[[Params], tuple[FactQuery, ...]]
    judge: Callable[[Facts, Params, Before | None], Verdict]


def _service_needs(params: Params) -> tuple[FactQuery, ...]:
    return (ServiceQuery(params.subject, probe=True),)


def _service_healthy(facts: Facts, params: Params, before: Before | None) -> Verdict:
    match facts[_service_needs(params)[0]]:
        case ServiceFacts() as service:
            return _judge_service(service, before)
        case other:
            return _no_answer(other)


def _judge_service(service: ServiceFacts, before: Before | None) -> Verdict:
    name, process = service.name, f"process {service.pid}"
    if service.status is ServiceStatus.UNKNOWN:
        return NotWell(f"{name} is being started or stopped")
    if service.status is ServiceStatus.DOWN:
        return NotWell(f"{name} does not run", final=not service.restarts_itself)
    if before is not None and not _is_new(service, before):
        return NotWell(f"{name} still runs as {process} from before the repair")
    if service.stopped:
        return NotWell(f"{name} runs as {process}, which is stopped by a signal")
    return _judge_answer(service, f"{name} runs as {process}")


def _judge_answer(service: ServiceFacts, runs: str) -> Verdict:
    if not service.probed:
        return Well(runs)
    if service.answers is None:
        return Unknown(f"{service.name} could not be asked whether it answers")
    return Well(f"{runs} and answers") if service.answers else NotWell(f"{runs} but does not answer")


def _is_new(service: ServiceFacts, before: Before) -> bool:
    if service.at.boot != before.at.boot:
        return True  # nothing is older than the boot
    same = (service.pid, service.started) == (before.pid, before.started)
    return not same and service.started >= before.at.ticks


def _program_needs(params: Params) -> tuple[FactQuery, ...]:
    return (ProcessesQuery(params.subject, MEASURED_S),)


def _process_calm(facts: Facts, params: Params, _before: Before | None) -> Verdict:
    limit = params.numbers["cpu_runaway_percent"]
    match facts[_program_needs(params)[0]]:
        case ProgramFacts(program, processes):
            over = [one for one in processes if one.cpu_percent > limit]
            if over:
                return NotWell(f"process {over[0].pid} of {program} uses {over[0].cpu_percent:.0f} % of a CPU")
            return Well(f"no process of {program} uses more than {limit:g} % of a CPU")
        case other:
            return _no_answer(other)


def _folder_needs(params: Params) -> tuple[FactQuery, ...]:
    return (FolderQuery(params.subject),)


def _folder_below_limit(facts: Facts, params: Params, _before: Before | None) -> Verdict:
    limit = params.numbers["disk_used_percent"]
    match facts[_folder_needs(params)[0]]:
        case FolderFacts() as folder:
            said = f"{folder.name} is at {folder.used_percent:.0f} % of its limit"
            return Well(said) if folder.used_percent < limit else NotWell(said)
        case other:
            return _no_answer(other)


def _no_answer(found: object) -> Unknown:
    if isinstance(found, Missing):
        return Unknown(found.reason)
    raise TypeError(f"the host answered {found} to a question about something else")


VERIFIERS: Mapping[str, Verifier] = MappingProxyType(
    {
        "service_healthy": Verifier(_service_needs, _service_healthy),
        "process_calm": Verifier(_program_needs, _process_calm),
        "folder_below_limit": Verifier(_folder_needs, _folder_below_limit),
    }
)
