import pytest

from homeostat.plan import Plan, Refusal, RestartService, StartService, StopService
from homeostat_agent.actuator.actions import restart_service
from homeostat_agent.actuator.host.port import (
    CheckResult,
    FolderFacts,
    Missing,
    Moment,
    ServiceFacts,
    ServiceQuery,
    ServiceStatus,
)
from homeostat_agent.actuator.order import Params

PARAMS = Params("web", {})
QUERY = ServiceQuery("web", check=True)
NOW = Moment("boot", 100)
RUNNING = ServiceFacts("web", ServiceStatus.RUNNING, NOW, pid=7, started=50, check=CheckResult(passed=True, said="ok"))
DOWN = ServiceFacts("web", ServiceStatus.DOWN, NOW)


def plan_on(fact: ServiceFacts | Missing) -> Plan | Refusal:
    return restart_service.plan({QUERY: fact}, PARAMS)


def digest(fact: ServiceFacts) -> bytes:
    made = plan_on(fact)
    assert isinstance(made, Plan)
    return made.state_digest


def test_it_needs_the_service_with_its_configuration_test() -> None:
    assert restart_service.needs(PARAMS) == (QUERY,)


def test_a_running_service_is_restarted_and_that_cannot_be_undone() -> None:
    made = plan_on(RUNNING)
    assert isinstance(made, Plan)
    assert (made.forward, made.backward) == ((RestartService("web"),), ())
    assert made.findings == ("web runs as process 7.", "Its configuration test passes.")


def test_a_service_that_is_down_is_started_and_would_be_stopped_again() -> None:
    made = plan_on(DOWN)
    assert isinstance(made, Plan)
    assert (made.forward, made.backward) == ((StartService("web"),), (StopService("web"),))


def test_a_stopped_process_is_a_finding() -> None:
    made = plan_on(ServiceFacts("web", ServiceStatus.RUNNING, NOW, pid=7, started=50, stopped=True))
    assert isinstance(made, Plan)
    assert made.findings == ("web runs as process 7, which is stopped by a signal.",)


def test_a_failing_configuration_test_refuses_with_its_first_line() -> None:
    broken = ServiceFacts(
        "web", ServiceStatus.RUNNING, NOW, check=CheckResult(passed=False, said="line 3: no such port")
    )
    assert plan_on(broken) == Refusal("The configuration test of web fails: line 3: no such port")
    silent = ServiceFacts("web", ServiceStatus.DOWN, NOW, check=CheckResult(passed=False))
    assert plan_on(silent) == Refusal("The configuration test of web fails: it says nothing")


def test_a_service_on_its_way_up_or_down_is_left_alone() -> None:
    assert isinstance(plan_on(ServiceFacts("web", ServiceStatus.UNKNOWN, NOW)), Refusal)


def test_what_cannot_be_read_refuses() -> None:
    assert plan_on(Missing("The bus is gone.")) == Refusal("The bus is gone.")


def test_an_answer_to_another_question_is_a_bug() -> None:
    with pytest.raises(TypeError):
        restart_service.plan({QUERY: FolderFacts("web", 0, 1, own_limit=True)}, PARAMS)


def test_the_digest_is_of_the_situation_and_not_of_the_moment() -> None:
    later = ServiceFacts("web", ServiceStatus.RUNNING, Moment("boot", 999), 7, 50, check=CheckResult(True, "fine"))
    assert digest(later) == digest(RUNNING)


@pytest.mark.parametrize(
    "other",
    [
        DOWN,
        ServiceFacts("web", ServiceStatus.RUNNING, NOW, 8, 50, check=CheckResult(True)),
        ServiceFacts("web", ServiceStatus.RUNNING, NOW, 7, 51, check=CheckResult(True)),
        ServiceFacts("web", ServiceStatus.RUNNING, NOW, 7, 50, stopped=True, check=CheckResult(True)),
        ServiceFacts("web", ServiceStatus.RUNNING, NOW, 7, 50),
    ],
)
def test_another_situation_has_another_digest(other: ServiceFacts) -> None:
    assert digest(other) != digest(RUNNING)
