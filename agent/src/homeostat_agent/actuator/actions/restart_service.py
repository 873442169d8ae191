"""Restart a declared service, unless its configuration test says that it would not come back.

A service that was down is started, and stopped again if that did not help: the endpoint is left as it was found.
"""

from homeostat.plan import Plan, Refusal, RestartService, StartService, StopService
from homeostat_agent.actuator.digests import facts_digest
from homeostat_agent.actuator.host.port import FactQuery, Facts, Missing, ServiceFacts, ServiceQuery, ServiceStatus
from homeostat_agent.actuator.order import Params


def needs(params: Params) -> tuple[FactQuery, ...]:
    """Name the service, with its configuration test."""
    return (_query(params),)


def plan(facts: Facts, params: Params) -> Plan | Refusal:
    """Plan the restart of a running service, or the start of one that is down."""
    match facts[_query(params)]:
        case ServiceFacts() as service:
            return _plan(service)
        case Missing(reason):
            return Refusal(reason)
        case other:
            raise TypeError(f"the host answered {other} to a question about a service")


def _query(params: Params) -> ServiceQuery:
    return ServiceQuery(params.subject, check=True)


def _plan(service: ServiceFacts) -> Plan | Refusal:
    name = service.name
    if service.check is not None and not service.check.passed:
        return Refusal(f"The configuration test of {name} fails: {service.check.said or 'it says nothing'}")
    if service.status is ServiceStatus.UNKNOWN:
        return Refusal(f"{name} is just being started or stopped by something else.")
    was_down = service.status is ServiceStatus.DOWN
    return Plan(
        forward=(StartService(name) if was_down else RestartService(name),),
        backward=(StopService(name),) if was_down else (),
        state_digest=_digest(service),
        expected_effect=f"{name} runs in a new process.",
        findings=tuple(_findings(service)),
    )


def _digest(service: ServiceFacts) -> bytes:
    passed = service.check.passed if service.check is not None else None
    return facts_digest("service", service.name, service.status, service.pid, service.started, service.stopped, passed)


def _findings(service: ServiceFacts) -> list[str]:
    if service.status is ServiceStatus.DOWN:
        found = [f"{service.name} does not run."]
    elif service.stopped:
        found = [f"{service.name} runs as process {service.pid}, which is stopped by a signal."]
    else:
        found = [f"{service.name} runs as process {service.pid}."]
    if service.check is not None:
        found.append("Its configuration test passes.")
    return found
