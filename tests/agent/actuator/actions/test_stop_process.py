import pytest

from homeostat.plan import EndProcess, Plan, Refusal
from homeostat_agent.actuator.actions import stop_process
from homeostat_agent.actuator.actions.stop_process import ENDED_MAX, MEASURED_S
from homeostat_agent.actuator.host.port import FolderFacts, Missing, ProcessesQuery, ProcessFacts, ProgramFacts
from homeostat_agent.actuator.order import Params

PARAMS = Params("report", {"cpu_runaway_percent": 90.0, "grace": 2.0})
QUERY = ProcessesQuery("report", MEASURED_S)


def plan_on(*processes: ProcessFacts) -> Plan | Refusal:
    return stop_process.plan({QUERY: ProgramFacts("report", processes)}, PARAMS)


def busy(pid: int, cpu_percent: float = 100.0, protected: str = "") -> ProcessFacts:
    return ProcessFacts(pid, pid * 10, cpu_percent, protected)


def test_it_needs_the_program_s_processes_measured_now() -> None:
    assert stop_process.needs(PARAMS) == (QUERY,)


def test_each_process_above_the_limit_is_ended_the_busiest_first() -> None:
    made = plan_on(busy(5, 95.0), busy(6, 40.0), busy(7, 180.0))
    assert isinstance(made, Plan)
    assert made.forward == (EndProcess(7, 70, 2.0), EndProcess(5, 50, 2.0))
    assert made.backward == ()
    assert made.findings == ("Above 90 % of a CPU: process 5, 7.",)


def test_a_process_at_the_limit_is_not_above_it() -> None:
    made = plan_on(busy(5, 90.0))
    assert made == Refusal("No process of report uses more than 90 % of a CPU now.")


def test_no_process_refuses() -> None:
    assert isinstance(plan_on(), Refusal)


def test_a_protected_process_is_passed_over() -> None:
    made = plan_on(busy(5, protected="it is ours"), busy(6))
    assert isinstance(made, Plan)
    assert made.forward == (EndProcess(6, 60, 2.0),)


def test_only_protected_ones_refuse() -> None:
    assert plan_on(busy(5, protected="it is ours")) == Refusal("Process 5 of report may not be ended: it is ours.")


def test_as_many_as_allowed_are_ended_and_one_more_refuses() -> None:
    allowed = [busy(pid) for pid in range(2, 2 + ENDED_MAX)]
    assert isinstance(plan_on(*allowed), Plan)
    assert isinstance(plan_on(*allowed, busy(99)), Refusal)


def test_what_cannot_be_read_refuses() -> None:
    assert stop_process.plan({QUERY: Missing("No table.")}, PARAMS) == Refusal("No table.")


def test_an_answer_to_another_question_is_a_bug() -> None:
    with pytest.raises(TypeError):
        stop_process.plan({QUERY: FolderFacts("report", 0, 1, own_limit=True)}, PARAMS)


def test_the_digest_does_not_follow_the_percentages_but_the_processes() -> None:
    made = [plan_on(busy(5, 95.0), busy(6, 99.0)), plan_on(busy(5, 99.0), busy(6, 95.0)), plan_on(busy(5))]
    first, second, third = (one.state_digest for one in made if isinstance(one, Plan))
    assert first == second != third
