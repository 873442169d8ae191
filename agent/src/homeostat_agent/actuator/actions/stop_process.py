"""End the processes of a declared program that use too much CPU, measured afresh; never a protected one."""

from homeostat.plan import EndProcess, Plan, Refusal
from homeostat_agent.actuator.digests import Part, facts_digest
from homeostat_agent.actuator.host.port import FactQuery, Facts, Missing, ProcessesQuery, ProcessFacts, ProgramFacts
from homeostat_agent.actuator.order import Params

# Long enough that the kernel's ticks of 10 ms give a percentage to within 2.
MEASURED_S = 0.5
# More runaways of one program at once are no accident: a person should look.
ENDED_MAX = 4


def needs(params: Params) -> tuple[FactQuery, ...]:
    """Name the program's processes."""
    return (_query(params),)


def plan(facts: Facts, params: Params) -> Plan | Refusal:
    """Plan the end of each process above the CPU limit, the busiest first."""
    match facts[_query(params)]:
        case ProgramFacts() as program:
            return _plan(program, params)
        case Missing(reason):
            return Refusal(reason)
        case other:
            raise TypeError(f"the host answered {other} to a question about a program")


def _query(params: Params) -> ProcessesQuery:
    return ProcessesQuery(params.subject, MEASURED_S)


def _plan(program: ProgramFacts, params: Params) -> Plan | Refusal:
    limit = params.numbers["cpu_runaway_percent"]
    over = sorted((one for one in program.processes if one.cpu_percent > limit), key=_busiest_first)
    if not over:
        return Refusal(f"No process of {program.program} uses more than {limit:g} % of a CPU now.")
    free = [one for one in over if not one.protected]
    if not free:
        return Refusal(f"Process {over[0].pid} of {program.program} may not be ended: {over[0].protected}.")
    if len(free) > ENDED_MAX:
        return Refusal(f"{len(free)} processes of {program.program} run away; at most {ENDED_MAX} are ended at once.")
    chosen = sorted(free, key=lambda one: one.pid)
    pids = ", ".join(str(one.pid) for one in chosen)
    return Plan(
        forward=tuple(EndProcess(one.pid, one.started, params.numbers["grace"]) for one in free),
        backward=(),
        state_digest=facts_digest("program", program.program, *_identities(chosen)),
        expected_effect=f"No process of {program.program} uses more than {limit:g} % of a CPU.",
        findings=(f"Above {limit:g} % of a CPU: process {pids}.",),
    )


def _busiest_first(process: ProcessFacts) -> tuple[float, int]:
    return -process.cpu_percent, process.pid


def _identities(processes: list[ProcessFacts]) -> list[Part]:
    return [part for one in processes for part in (one.pid, one.started)]
