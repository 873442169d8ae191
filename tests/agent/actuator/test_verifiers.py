import pytest

from homeostat import catalogue
from homeostat_agent.actuator.host.port import (
    Fact,
    FolderFacts,
    Missing,
    Moment,
    ProcessFacts,
    ProgramFacts,
    ServiceFacts,
    ServiceStatus,
)
from homeostat_agent.actuator.order import Before, Params
from homeostat_agent.actuator.verifiers import VERIFIERS, NotWell, Unknown, Verdict, Well

PARAMS = Params("web", {"cpu_runaway_percent": 90.0, "disk_used_percent": 90.0})
BOOT = Moment("boot-1", 1000)
LATER = Moment("boot-1", 1200)
BEFORE = Before(7, 500, BOOT)


def judge(name: str, fact: Fact, before: Before | None = None) -> Verdict:
    verifier = VERIFIERS[name]
    (query,) = verifier.needs(PARAMS)
    return verifier.judge({query: fact}, PARAMS, before)


def service(
    *, pid: int = 8, started: int = 1100, at: Moment = LATER, answers: bool | None = None, probed: bool = False
) -> ServiceFacts:
    return ServiceFacts("web", ServiceStatus.RUNNING, at, pid, started, answers=answers, probed=probed)


def test_there_is_one_for_each_in_the_catalogue() -> None:
    assert set(VERIFIERS) == set(catalogue.VERIFIERS)


def test_a_service_in_a_new_process_is_well() -> None:
    assert judge("service_healthy", service(), BEFORE) == Well("web runs as process 8")


@pytest.mark.parametrize("before", [Before(0, 0, BOOT), None])
def test_a_service_that_was_down_before_is_well_in_any_process_since(before: Before | None) -> None:
    assert isinstance(judge("service_healthy", service(started=1000), before), Well)


@pytest.mark.parametrize(
    ("pid", "started"),
    [
        (7, 500),  # the very process
        (8, 999),  # another one, but from before the repair
    ],
)
def test_a_process_from_before_the_repair_is_not_well(pid: int, started: int) -> None:
    verdict = judge("service_healthy", service(pid=pid, started=started), BEFORE)
    assert isinstance(verdict, NotWell)
    assert not verdict.final


def test_a_reused_pid_with_a_new_start_is_a_new_process() -> None:
    assert isinstance(judge("service_healthy", service(pid=7, started=1000), BEFORE), Well)


def test_after_a_boot_every_process_is_new() -> None:
    assert isinstance(judge("service_healthy", service(pid=7, started=3, at=Moment("boot-2", 90)), BEFORE), Well)


@pytest.mark.parametrize(("restarts_itself", "final"), [(True, False), (False, True)])
def test_waiting_for_a_service_that_is_down_helps_only_if_something_may_start_it(
    restarts_itself: bool, final: bool
) -> None:
    down = ServiceFacts("web", ServiceStatus.DOWN, LATER, restarts_itself=restarts_itself)
    assert judge("service_healthy", down, BEFORE) == NotWell("web does not run", final)


def test_a_service_on_its_way_is_not_well_yet() -> None:
    assert isinstance(judge("service_healthy", ServiceFacts("web", ServiceStatus.UNKNOWN, LATER), BEFORE), NotWell)


def test_a_stopped_process_is_not_well() -> None:
    stopped = ServiceFacts("web", ServiceStatus.RUNNING, LATER, 8, 1100, stopped=True)
    assert isinstance(judge("service_healthy", stopped, BEFORE), NotWell)


def test_a_probe_must_be_answered_and_an_unasked_one_is_no_data() -> None:
    assert judge("service_healthy", service(probed=True, answers=True)) == Well("web runs as process 8 and answers")
    assert isinstance(judge("service_healthy", service(probed=True, answers=False)), NotWell)
    assert isinstance(judge("service_healthy", service(probed=True, answers=None)), Unknown)


def test_a_calm_program_is_well_and_a_busy_one_is_not() -> None:
    at_limit = ProgramFacts("web", (ProcessFacts(5, 1, 90.0),))
    assert isinstance(judge("process_calm", at_limit), Well)
    assert isinstance(judge("process_calm", ProgramFacts("web")), Well)
    verdict = judge("process_calm", ProgramFacts("web", (ProcessFacts(5, 1, 10.0), ProcessFacts(6, 1, 91.0))))
    assert verdict == NotWell("process 6 of web uses 91 % of a CPU")


def test_a_folder_must_be_below_its_limit() -> None:
    assert isinstance(judge("folder_below_limit", FolderFacts("web", 899, 1000, own_limit=True)), Well)
    assert isinstance(judge("folder_below_limit", FolderFacts("web", 900, 1000, own_limit=True)), NotWell)


@pytest.mark.parametrize("name", sorted(VERIFIERS))
def test_no_data_is_never_well(name: str) -> None:
    assert judge(name, Missing("Nobody knows.")) == Unknown("Nobody knows.")


@pytest.mark.parametrize("name", sorted(VERIFIERS))
def test_an_answer_to_another_question_is_a_bug(name: str) -> None:
    other: Fact = ProgramFacts("web") if name != "process_calm" else FolderFacts("web", 0, 1, own_limit=True)
    with pytest.raises(TypeError):
        judge(name, other)
