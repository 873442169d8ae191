from collections.abc import Iterator

import pytest

from fakes.windows_control import FakeControl
from homeostat.plan import RestartService, StartService, StopService
from homeostat_agent.actuator.host.port import Missing, Moment, ServiceFacts, ServiceQuery, ServiceStatus
from homeostat_agent.actuator.host.windows_services import Services, started
from homeostat_agent.config import Service

WITHIN_S = 20.0
NOW_S = 1_800_000_000.0


@pytest.fixture
def control() -> Iterator[FakeControl]:
    made = FakeControl({"Quick": 0, "Slow": 3, "Stuck": 10**9})
    yield made
    made.close()


def services(control: FakeControl) -> Services:
    units = ("Quick", "Slow", "Stuck", "Nowhere")
    declared = [Service(unit.lower(), unit=unit) for unit in units]
    return Services([*declared, Service("group", command=("x",), pid_file="y")], control)


def read(control: FakeControl, name: str) -> ServiceFacts | Missing:
    return services(control).read(ServiceQuery(name), NOW_S)


@pytest.mark.parametrize("name", ["quick", "slow"])
def test_steps_are_waited_for(control: FakeControl, name: str) -> None:
    made = services(control)
    assert made.run(StartService(name), WITHIN_S).ok
    found = read(control, name)
    assert isinstance(found, ServiceFacts)
    assert (found.status, found.at) == (ServiceStatus.RUNNING, Moment("", int(NOW_S * 100)))
    assert found.started == started(found.pid) > 0
    assert made.run(RestartService(name), WITHIN_S).ok
    again = read(control, name)
    assert isinstance(again, ServiceFacts)
    assert again.pid != found.pid
    assert made.run(StopService(name), WITHIN_S).ok
    assert made.run(StopService(name), WITHIN_S).ok
    title = name.capitalize()
    assert control.asked == [f"start {title}", f"stop {title}", f"start {title}", f"stop {title}"]


def test_a_service_on_its_way_is_not_known(control: FakeControl) -> None:
    services(control).run(StartService("stuck"), 0.0)
    found = read(control, "stuck")
    assert isinstance(found, ServiceFacts)
    assert found.status is ServiceStatus.UNKNOWN


def test_one_that_does_not_get_there_is_given_up_at_the_bound(control: FakeControl) -> None:
    result = services(control).run(StartService("stuck"), 0.05)
    assert (result.ok, result.detail) == (False, "Stuck did not get there in time")


def test_what_windows_does_not_know_is_missing(control: FakeControl) -> None:
    assert isinstance(read(control, "nowhere"), Missing)
    assert not services(control).run(StartService("nowhere"), WITHIN_S).ok


def test_a_process_group_is_not_cared_for(control: FakeControl) -> None:
    assert isinstance(read(control, "group"), Missing)
    assert not services(control).run(StartService("group"), WITHIN_S).ok


def test_no_process_has_no_start() -> None:
    assert started(0) == started(2**22 + 1) == 0
