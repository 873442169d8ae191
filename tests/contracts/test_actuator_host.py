"""What every host of the actuator does, whichever system stands behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fakes.actuator_worlds import WORLDS, World
from homeostat.plan import EndProcess, RemoveFile, RestartService, RestoreFile, StartService, Step, StopService
from homeostat_agent.actuator.host.port import (
    FactQuery,
    FileFacts,
    FolderFacts,
    FolderQuery,
    Missing,
    ProcessesQuery,
    ProgramFacts,
    ServiceFacts,
    ServiceQuery,
    ServiceStatus,
)

WITHIN_S = 20.0
INTERVAL_S = 0.25


@pytest.fixture(params=WORLDS, ids=lambda kind: kind.name)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made: World = request.param(tmp_path)
    yield made
    made.close()


def service(world: World, *, check: bool = False, probe: bool = False) -> ServiceFacts:
    query = ServiceQuery("web", check, probe)
    found = world.host.read([query])[query]
    assert isinstance(found, ServiceFacts)
    return found


def program(world: World) -> ProgramFacts:
    query = ProcessesQuery("burner", INTERVAL_S)
    found = world.host.read([query])[query]
    assert isinstance(found, ProgramFacts)
    return found


def folder(world: World, minimum_age_s: float | None = 0.0) -> FolderFacts:
    query = FolderQuery("cache", minimum_age_s)
    found = world.host.read([query])[query]
    assert isinstance(found, FolderFacts)
    return found


def file(world: World, path: str) -> FileFacts:
    return next(one for one in folder(world).files if one.path == path)


def removal(facts: FileFacts, *, keep: bool = True) -> RemoveFile:
    return RemoveFile("cache", facts.path, facts.size_bytes, facts.modified_ns, keep)


@pytest.mark.parametrize("query", [ServiceQuery("nope"), ProcessesQuery("nope", 0.1), FolderQuery("nope", 0.0)])
def test_what_is_not_declared_is_missing(world: World, query: FactQuery) -> None:
    found = world.host.read([query])[query]
    assert isinstance(found, Missing)
    assert "nope" in found.reason


@pytest.mark.parametrize(
    "step",
    [
        StartService("nope"),
        StopService("nope"),
        RestartService("nope"),
        RemoveFile("nope", "a.tmp", 1, 1),
        RestoreFile("nope", "a.tmp"),
    ],
)
def test_a_step_on_what_is_not_declared_is_refused(world: World, step: Step) -> None:
    assert not world.host.run(step, WITHIN_S).ok


def test_every_query_has_its_entry(world: World) -> None:
    queries: list[FactQuery] = [ServiceQuery("web"), FolderQuery("cache"), ServiceQuery("nope")]
    assert set(world.host.read(queries)) == set(queries)


def test_a_service_that_was_never_started_is_down(world: World) -> None:
    found = service(world)
    assert (found.status, found.pid, found.started) == (ServiceStatus.DOWN, 0, 0)


def test_a_started_service_runs_in_a_process_that_is_not_older(world: World) -> None:
    before = service(world)
    assert world.host.run(StartService("web"), WITHIN_S).ok
    after = service(world)
    assert after.status is ServiceStatus.RUNNING
    assert after.pid > 0
    assert after.at.boot == before.at.boot
    # On Linux psutil, which stands in for Windows here, knows the boot's time to the second only.
    slack = 200 if world.name == "windows" else 0
    assert before.at.ticks - slack <= after.started <= after.at.ticks + slack


def test_starting_what_runs_changes_nothing(world: World) -> None:
    world.host.run(StartService("web"), WITHIN_S)
    before = service(world)
    assert world.host.run(StartService("web"), WITHIN_S).ok
    after = service(world)
    assert (after.pid, after.started) == (before.pid, before.started)


def test_a_restart_ends_in_a_new_process(world: World) -> None:
    world.host.run(StartService("web"), WITHIN_S)
    before = service(world)
    assert world.host.run(RestartService("web"), WITHIN_S).ok
    assert (service(world).pid, service(world).started) != (before.pid, before.started)


def test_a_restart_starts_what_is_down(world: World) -> None:
    assert world.host.run(RestartService("web"), WITHIN_S).ok
    assert service(world).status is ServiceStatus.RUNNING


def test_a_crashed_service_is_down_and_starts_again(world: World) -> None:
    world.host.run(StartService("web"), WITHIN_S)
    world.crash()
    assert service(world).status is ServiceStatus.DOWN
    assert world.host.run(StartService("web"), WITHIN_S).ok
    assert service(world).status is ServiceStatus.RUNNING


def test_stopping_twice_is_stopping_once(world: World) -> None:
    world.host.run(StartService("web"), WITHIN_S)
    assert world.host.run(StopService("web"), WITHIN_S).ok
    assert service(world).status is ServiceStatus.DOWN
    assert world.host.run(StopService("web"), WITHIN_S).ok


def test_a_stopped_process_shows_and_does_not_prevent_a_restart(world: World) -> None:
    if world.name == "windows":
        pytest.skip("Windows stops no processes by signal")
    world.host.run(StartService("web"), WITHIN_S)
    world.hang()
    assert service(world).stopped
    assert world.host.run(RestartService("web"), WITHIN_S).ok
    assert not service(world).stopped


def test_the_configuration_test_runs_only_when_asked_for(world: World) -> None:
    assert service(world).check is None
    check = service(world, check=True).check
    assert check is not None
    assert check.passed


def test_a_failing_configuration_test_says_why(world: World) -> None:
    world.break_check()
    check = service(world, check=True).check
    assert check is not None
    assert not check.passed
    assert check.said == "line 1: it is broken"


def test_the_probe_asks_only_when_told_to(world: World) -> None:
    world.host.run(StartService("web"), WITHIN_S)
    assert not service(world).probed
    world.answer(well=False)
    assert (service(world, probe=True).probed, service(world, probe=True).answers) == (True, False)
    world.answer(well=True)
    assert service(world, probe=True).answers is True


def test_a_program_without_a_process_has_none(world: World) -> None:
    assert program(world).processes == ()


def test_a_busy_process_shows_and_can_be_ended(world: World) -> None:
    pid = world.spin()
    (busy,) = program(world).processes
    assert busy.pid == pid
    assert busy.cpu_percent > 10.0
    assert not busy.protected
    assert world.host.run(EndProcess(pid, busy.started, 1.0), WITHIN_S).ok
    assert not world.runs(pid)
    assert world.host.run(EndProcess(pid, busy.started, 1.0), WITHIN_S).ok  # it has ended: nothing more to do


def test_a_process_that_started_at_another_time_is_another_process(world: World) -> None:
    pid = world.spin()
    (busy,) = program(world).processes
    world.host.run(EndProcess(pid, busy.started - 1, 0.0), WITHIN_S)
    assert world.runs(pid)


def test_a_protected_process_is_never_ended(world: World) -> None:
    pid = world.spin(protected=True)
    (busy,) = program(world).processes
    assert busy.protected
    assert not world.host.run(EndProcess(pid, busy.started, 0.0), WITHIN_S).ok
    assert world.runs(pid)


def test_a_folder_counts_everything_and_lists_what_may_go_oldest_first(world: World) -> None:
    world.write("young.tmp", 16, age_s=1)
    world.write("sub/old.tmp", 32, age_s=1000)
    world.write("keep.txt", 64, age_s=5000)
    found = folder(world, 100.0)
    assert found.own_limit
    assert found.limit_bytes == 1 << 20
    assert found.used_bytes >= 112 << 10
    assert [one.path for one in found.files] == ["sub/old.tmp"]
    assert [one.path for one in folder(world, 0.0).files] == ["sub/old.tmp", "young.tmp"]
    assert folder(world, None).files == ()


def test_a_removed_file_comes_back_as_it_was(world: World) -> None:
    world.write("sub/a.tmp", 16, age_s=10)
    facts = file(world, "sub/a.tmp")
    assert folder(world).can_keep
    assert world.host.run(removal(facts), WITHIN_S).ok
    assert not world.has("sub/a.tmp")
    assert folder(world).used_bytes == 0
    assert world.host.run(RestoreFile("cache", "sub/a.tmp"), WITHIN_S).ok
    assert file(world, "sub/a.tmp") == facts
    assert world.host.run(RestoreFile("cache", "sub/a.tmp"), WITHIN_S).ok  # it is back: nothing more to do


def test_a_file_removed_for_good_does_not_come_back(world: World) -> None:
    world.write("a.tmp", 16, age_s=10)
    assert world.host.run(removal(file(world, "a.tmp"), keep=False), WITHIN_S).ok
    assert world.host.run(RestoreFile("cache", "a.tmp"), WITHIN_S).ok
    assert not world.has("a.tmp")


def test_a_file_that_has_changed_is_left_alone(world: World) -> None:
    world.write("a.tmp", 16, age_s=10)
    facts = file(world, "a.tmp")
    world.rewrite("a.tmp")
    assert world.host.run(removal(facts), WITHIN_S).ok
    assert world.has("a.tmp")


def test_a_file_that_has_gone_is_no_failure(world: World) -> None:
    world.write("a.tmp", 16, age_s=10)
    step = removal(file(world, "a.tmp"))
    assert world.host.run(step, WITHIN_S).ok
    assert world.host.run(step, WITHIN_S).ok


def test_a_file_does_not_come_back_over_another(world: World) -> None:
    world.write("a.tmp", 16, age_s=10)
    world.host.run(removal(file(world, "a.tmp")), WITHIN_S)
    world.write("a.tmp", 32, age_s=1)
    assert not world.host.run(RestoreFile("cache", "a.tmp"), WITHIN_S).ok
    assert file(world, "a.tmp").size_bytes == 32 << 10


def test_a_file_of_another_kind_is_refused(world: World) -> None:
    world.write("keep.txt", 16, age_s=10)
    for size in (16 << 10, 1):
        assert not world.host.run(RemoveFile("cache", "keep.txt", size, 1), WITHIN_S).ok
    assert world.has("keep.txt")


@pytest.mark.parametrize("path", ["../a.tmp", "/etc/a.tmp", "", "sub/../../a.tmp", "./a.tmp", "sub//a.tmp"])
def test_no_path_leads_out_of_the_folder(world: World, path: str) -> None:
    assert not world.host.run(RemoveFile("cache", path, 1, 1), WITHIN_S).ok
    assert not world.host.run(RestoreFile("cache", path), WITHIN_S).ok


def test_recovering_and_tidying_change_nothing_that_is_well(world: World) -> None:
    world.host.run(StartService("web"), WITHIN_S)
    world.write("a.tmp", 16, age_s=10)
    before = service(world)
    world.host.recover()
    world.host.tidy()
    after = service(world)
    assert (after.status, after.pid, after.started) == (before.status, before.pid, before.started)
    assert world.has("a.tmp")
