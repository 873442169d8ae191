import pytest

from fakes.actuator_host import FakeFolder, FakeHost, FakeService
from homeostat.plan import Plan, Refusal
from homeostat_agent.actuator.host.port import Facts, Moment
from homeostat_agent.actuator.order import Before, Params
from homeostat_agent.actuator.planning import plan_afresh

NUMBERS = {"target": 50.0, "minimum_age": 0.0, "grace": 1.0, "cpu_runaway_percent": 90.0, "disk_used_percent": 90.0}


class BrokenHost(FakeHost):
    def read(self, queries: object) -> Facts:
        raise OSError(5, "Input/output error")


def test_a_plan_rests_on_what_is_there_now_and_remembers_it() -> None:
    host = FakeHost(services={"web": FakeService(pid=7, started=500)})
    planned = plan_afresh(host, "restart_service", Params("web", NUMBERS))
    assert isinstance(planned.plan, Plan)
    assert planned.before == Before(7, 500, Moment("boot-1", 100_000))


def test_without_a_service_there_is_no_before() -> None:
    host = FakeHost(folders={"cache": FakeFolder(1000)})
    planned = plan_afresh(host, "free_disk_space", Params("cache", NUMBERS))
    assert isinstance(planned.plan, Refusal)
    assert planned.before is None


def test_an_undeclared_subject_refuses() -> None:
    assert isinstance(plan_afresh(FakeHost(), "restart_service", Params("nope", NUMBERS)).plan, Refusal)


@pytest.mark.parametrize("action", ["restart_service", "stop_process", "free_disk_space"])
def test_a_host_that_breaks_refuses_and_ends_nothing(action: str) -> None:
    planned = plan_afresh(BrokenHost(), action, Params("web", NUMBERS))
    assert planned.plan == Refusal("The pre-check failed: unexpected OSError: [Errno 5] Input/output error")
