import contextlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from fakes.actuator_clock import NOON, HandClock
from fakes.actuator_host import FakeFolder, FakeHost, FakeService, file_facts
from fakes.actuator_runs import NUMBERS, order
from homeostat.diagnosis import FaultClass
from homeostat.healing import RESTARTS_MAX, Stage
from homeostat.outcome import Ending, Outcome, RunStep
from homeostat.plan import (
    EndProcess,
    Plan,
    Refusal,
    RemoveFile,
    RestartService,
    RestoreFile,
    StartService,
    Step,
    StopService,
)
from homeostat.playbook import Playbook
from homeostat.subject import Subject, SubjectKind
from homeostat.wire.outcomes import outcome_from_wire
from homeostat.wire.v1 import incident_pb2
from homeostat_agent.actuator.database import open_database
from homeostat_agent.actuator.healer import ACT_MAX, LOOK_S_FIRST, LOOK_S_MAX, PRECHECK_MAX, Healer
from homeostat_agent.actuator.host.port import CheckResult, Facts, StepResult
from homeostat_agent.actuator.journal import Journal
from homeostat_agent.actuator.order import Order
from homeostat_agent.actuator.planning import Planned, plan_afresh
from homeostat_agent.actuator.port import Stopping

RESTART = Playbook("restart", "restart_service", verify_within=timedelta(seconds=10))


@dataclass
class Endpoint:
    """One endpoint in memory with a journal on disk, whose actuator can end and start again."""

    path: Path
    clock: HandClock = field(default_factory=HandClock)
    service: FakeService = field(default_factory=FakeService)
    told: list[tuple[str, RunStep]] = field(default_factory=list)
    tell: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.host = FakeHost(self.clock, {"web": self.service}, {"report": {}}, {"cache": FakeFolder(100 << 10)})
        self.start()

    def start(self) -> None:
        self.connection = open_database(self.path)
        self.journal = Journal(self.connection)
        self.healer = Healer(self.journal, self.host, self.clock, self._progress)

    def restart(self) -> None:
        """Begin anew on the same journal; what was not committed is lost."""
        self.connection.close()
        self.start()

    def heal(self, wanted: Order | None = None) -> Outcome:
        return self.healer.heal(wanted or order(playbook=RESTART))

    def stage(self, run_id: str = "run-1") -> Stage:
        kept = self.journal.find(run_id)
        assert kept is not None
        return kept.run.stage

    def reported(self) -> list[Outcome]:
        """Return the outcomes that wait for the decider."""
        kept = [incident_pb2.Outcome.FromString(one.body) for one in self.journal.unacknowledged()]
        return [outcome_from_wire(one) for one in kept]

    def _progress(self, run_id: str, step: RunStep) -> None:
        self.told.append((run_id, step))
        self.tell()


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    made = Endpoint(tmp_path / "journal.db")
    yield made
    made.connection.close()


def process_order() -> Order:
    about = Subject(SubjectKind.PROCESS, "report")
    playbook = Playbook("end", "stop_process", verify_within=timedelta(seconds=10))
    return Order("run-1", "incident-1", FaultClass.RUNAWAY_CPU, about, "rule-1", playbook, {**NUMBERS, "grace": 1.0})


def folder_order() -> Order:
    about = Subject(SubjectKind.FOLDER, "cache")
    playbook = Playbook("clean", "free_disk_space", verify_within=timedelta(seconds=10))
    numbers = {**NUMBERS, "target": 50.0, "minimum_age": 0.0}
    return Order("run-1", "incident-1", FaultClass.DISK_FULL, about, "rule-1", playbook, numbers)


def fill(endpoint: Endpoint, count: int = 8) -> None:
    files = [file_facts(f"f{number}.tmp", 12, number) for number in range(count)]
    endpoint.host.folders["cache"].files = {one.path: one for one in files}


# How runs end.


def test_a_crashed_service_is_started_and_healed(endpoint: Endpoint) -> None:
    outcome = endpoint.heal()
    assert (outcome.ending, outcome.reason) == (Ending.HEALED, "web runs as process 101")
    assert endpoint.host.steps == [StartService("web")]
    assert [step.stage for step in outcome.steps] == ["prechecking", "prechecking", "acting", "verifying"]
    assert (outcome.run_id, outcome.incident_id, outcome.playbook, outcome.action) == (
        "run-1",
        "incident-1",
        "restart",
        "restart_service",
    )
    assert (outcome.started_at, outcome.restarts, outcome.pack_id) == (NOON, 0, "")


def test_the_end_and_its_outcome_are_on_disk_when_it_is_told(endpoint: Endpoint) -> None:
    outcome = endpoint.heal()
    endpoint.restart()
    assert endpoint.reported() == [outcome]
    assert endpoint.stage() is Stage.ENDED
    assert endpoint.journal.unfinished() == ()


def test_the_decider_is_told_of_every_line_of_the_record(endpoint: Endpoint) -> None:
    outcome = endpoint.heal()
    assert endpoint.told == [("run-1", step) for step in outcome.steps]


def test_a_running_service_is_restarted(endpoint: Endpoint) -> None:
    endpoint.host.come_up(endpoint.service)
    endpoint.clock.forward(60)
    assert endpoint.heal().ending is Ending.HEALED
    assert endpoint.host.steps == [RestartService("web")]


def test_a_pre_check_s_no_ends_the_run_before_anything_was_done(endpoint: Endpoint) -> None:
    endpoint.service.check = CheckResult(passed=False, said="line 3")
    outcome = endpoint.heal()
    assert (outcome.ending, outcome.reason) == (Ending.REFUSED, "The configuration test of web fails: line 3")
    assert endpoint.host.steps == []


def test_a_service_that_does_not_answer_is_left_as_it_was_found(endpoint: Endpoint) -> None:
    endpoint.service.answers = False
    outcome = endpoint.heal()
    assert outcome.ending is Ending.ROLLED_BACK
    assert outcome.reason == "web runs as process 101 but does not answer"
    assert endpoint.host.steps == [StartService("web"), StopService("web")]
    assert endpoint.service.pid == 0


def test_a_repair_that_cannot_be_undone_fails_when_it_does_not_help(endpoint: Endpoint) -> None:
    endpoint.host.come_up(endpoint.service)
    endpoint.service.answers = False
    endpoint.clock.forward(60)
    outcome = endpoint.heal()
    assert outcome.ending is Ending.FAILED
    assert endpoint.host.steps == [RestartService("web")]


def test_a_step_that_fails_is_undone(endpoint: Endpoint) -> None:
    endpoint.service.comes_up = False
    outcome = endpoint.heal()
    assert (outcome.ending, outcome.reason) == (Ending.ROLLED_BACK, "did not come up")
    assert endpoint.host.steps == [StartService("web"), StopService("web")]


def test_an_undoing_that_fails_says_both_reasons(endpoint: Endpoint) -> None:
    endpoint.service.comes_up = False
    endpoint.host.before_step = lambda step: (
        StepResult(ok=False, detail="it clings") if isinstance(step, StopService) else None
    )
    outcome = endpoint.heal()
    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "did not come up; undoing it failed: it clings")


def test_no_data_is_unverified_and_nothing_is_undone(endpoint: Endpoint) -> None:
    def hide(_step: Step) -> None:
        endpoint.service.unreadable = "The bus is gone."

    endpoint.host.before_step = hide
    outcome = endpoint.heal()
    assert (outcome.ending, outcome.reason) == (Ending.UNVERIFIED, "The bus is gone.")
    assert endpoint.host.steps == [StartService("web")]


def test_a_service_that_dies_again_is_given_up_at_once(endpoint: Endpoint) -> None:
    endpoint.service.lives = False
    outcome = endpoint.heal()
    assert (outcome.ending, outcome.reason) == (Ending.ROLLED_BACK, "web does not run")
    assert outcome.ended_at - outcome.started_at < RESTART.verify_within


def test_a_runaway_is_ended(endpoint: Endpoint) -> None:
    busy = endpoint.host.spin("report", 100.0)
    outcome = endpoint.heal(process_order())
    assert outcome.ending is Ending.HEALED
    assert endpoint.host.steps == [EndProcess(busy.pid, busy.started, 1.0)]


def test_a_program_that_runs_away_again_is_a_failure(endpoint: Endpoint) -> None:
    endpoint.host.spin("report", 100.0)

    def again(_step: Step) -> None:
        endpoint.host.spin("report", 99.0)

    endpoint.host.before_step = again
    outcome = endpoint.heal(process_order())
    assert outcome.ending is Ending.FAILED
    assert "99 %" in outcome.reason


def test_a_folder_is_relieved(endpoint: Endpoint) -> None:
    fill(endpoint)
    outcome = endpoint.heal(folder_order())
    assert outcome.ending is Ending.HEALED
    assert all(isinstance(step, RemoveFile) for step in endpoint.host.steps)
    assert outcome.steps[2].detail == f"{len(endpoint.host.steps)} steps are done"


def test_a_folder_that_fills_up_again_gets_its_files_back(endpoint: Endpoint) -> None:
    fill(endpoint)
    folder = endpoint.host.folders["cache"]
    before = dict(folder.files)

    def refill(_step: Step) -> None:
        folder.files["large.dat"] = file_facts("large.dat", 96, 10**18)

    endpoint.host.before_step = refill
    outcome = endpoint.heal(folder_order())
    assert outcome.ending is Ending.ROLLED_BACK
    assert {path: one for path, one in folder.files.items() if path != "large.dat"} == before
    assert folder.trash == {}


# Journal first.


def test_every_step_is_on_disk_before_it_is_carried_out(endpoint: Endpoint) -> None:
    fill(endpoint)
    seen: list[int] = []

    def look(_step: Step) -> None:
        other = sqlite3.connect(endpoint.path)
        (stage,) = other.execute("SELECT stage FROM run").fetchone()
        begun = other.execute("SELECT number FROM step WHERE direction = 'forward'").fetchall()
        ended = other.execute("SELECT number FROM step WHERE ok = 1").fetchall()
        other.close()
        assert stage == "acting"
        assert len(begun) == len(ended) + 1
        seen.append(len(begun))

    endpoint.host.before_step = look
    endpoint.heal(folder_order())
    assert seen == list(range(1, len(endpoint.host.steps) + 1))


def test_the_run_is_on_disk_before_the_pre_check(endpoint: Endpoint) -> None:
    class Looking(FakeHost):
        def read(self, queries: object) -> Facts:
            other = sqlite3.connect(endpoint.path)
            assert other.execute("SELECT stage FROM run").fetchall() == [("prechecking",)]
            other.close()
            return {}

    healer = replace(endpoint.healer, host=Looking(endpoint.clock))
    assert healer.heal(order(playbook=RESTART)).ending is Ending.REFUSED


# Waiting and looking.


def test_the_first_look_comes_after_the_settle_time(endpoint: Endpoint) -> None:
    outcome = endpoint.heal(order(playbook=replace(RESTART, settle=timedelta(seconds=7))))
    assert endpoint.clock.pauses == [7.0]
    assert outcome.ended_at - outcome.started_at == timedelta(seconds=7)


def test_looks_come_quickly_at_first_and_then_rarely_until_the_time_is_over(endpoint: Endpoint) -> None:
    endpoint.service.answers = False
    began = endpoint.clock.monotonic
    endpoint.heal()
    assert endpoint.clock.monotonic - began == pytest.approx(RESTART.verify_within.total_seconds())
    looks = endpoint.clock.pauses[1:]
    assert looks[:3] == pytest.approx([LOOK_S_FIRST, LOOK_S_FIRST * 1.5, LOOK_S_FIRST * 2.25])
    assert max(looks) == LOOK_S_MAX
    assert sum(looks) == pytest.approx(RESTART.verify_within.total_seconds())


def test_a_service_that_answers_late_is_well_when_it_answers(endpoint: Endpoint) -> None:
    endpoint.service.answers = False

    def later() -> None:
        endpoint.service.answers = endpoint.clock.now() - NOON > timedelta(seconds=3)

    endpoint.clock.while_paused = later
    outcome = endpoint.heal()
    assert outcome.ending is Ending.HEALED
    assert timedelta(seconds=3) < outcome.ended_at - outcome.started_at < timedelta(seconds=3.5)


def test_one_look_is_taken_even_when_there_is_no_time(endpoint: Endpoint) -> None:
    assert endpoint.heal(order(playbook=replace(RESTART, verify_within=timedelta()))).ending is Ending.HEALED


def test_a_clock_set_back_gives_no_more_time(endpoint: Endpoint) -> None:
    endpoint.service.answers = False

    def set_back() -> None:
        endpoint.clock.wall -= timedelta(hours=1)

    endpoint.clock.while_paused = set_back
    began = endpoint.clock.monotonic
    assert endpoint.heal().ending is Ending.ROLLED_BACK
    assert endpoint.clock.monotonic - began == pytest.approx(RESTART.verify_within.total_seconds())


def test_a_clock_set_forward_takes_no_time_away(endpoint: Endpoint) -> None:
    endpoint.service.answers = False

    def set_forward() -> None:
        endpoint.clock.wall += timedelta(hours=1)
        endpoint.service.answers = endpoint.clock.monotonic > 1005

    endpoint.clock.while_paused = set_forward
    assert endpoint.heal().ending is Ending.HEALED


def test_a_pre_check_that_takes_too_long_is_refused(endpoint: Endpoint) -> None:
    class Slow(FakeHost):
        def read(self, queries: object) -> Facts:
            endpoint.clock.forward(PRECHECK_MAX.total_seconds() + 1)
            return endpoint.host.read(list(queries))  # type: ignore[call-overload]  # it is iterable

    outcome = replace(endpoint.healer, host=Slow(endpoint.clock)).heal(order(playbook=RESTART))
    assert (outcome.ending, outcome.reason) == (Ending.REFUSED, "ran out of time")


def test_steps_that_take_too_long_are_not_gone_on_with(endpoint: Endpoint) -> None:
    fill(endpoint)
    endpoint.host.before_step = lambda _step: endpoint.clock.forward(ACT_MAX.total_seconds() + 1)
    outcome = endpoint.heal(folder_order())
    # One step forward and one back, each longer than all of them may take.
    assert outcome.ending is Ending.FAILED
    assert [type(step) for step in endpoint.host.steps] == [RemoveFile, RestoreFile]


# Approved plans.


def test_a_plan_made_for_an_approval_is_carried_out_as_it_is(endpoint: Endpoint) -> None:
    wanted = order(playbook=RESTART, pack_id="pack-1", nonce=b"n")
    planned = plan_afresh(endpoint.host, "restart_service", wanted.params)
    outcome = endpoint.healer.heal(wanted, planned)
    assert (outcome.ending, outcome.pack_id) == (Ending.HEALED, "pack-1")
    assert endpoint.journal.is_used(b"n")


def test_a_refusal_made_for_an_approval_is_the_run_s_end(endpoint: Endpoint) -> None:
    outcome = endpoint.healer.heal(order(playbook=RESTART, pack_id="pack-1"), Planned(Refusal("Not now.")))
    assert (outcome.ending, outcome.reason) == (Ending.REFUSED, "Not now.")


# A host that breaks.


def test_a_step_that_raises_is_a_failed_step(endpoint: Endpoint) -> None:
    def burst(step: Step) -> None:
        if isinstance(step, StartService):
            raise OSError(5, "Input/output error")

    endpoint.host.before_step = burst
    outcome = endpoint.heal()
    assert (outcome.ending, outcome.reason) == (
        Ending.ROLLED_BACK,
        "unexpected OSError: [Errno 5] Input/output error",
    )


def test_a_look_that_raises_is_no_data(endpoint: Endpoint) -> None:
    plan = Plan((StartService("web"),), (StopService("web"),), b"s" * 32, "It helps.")

    class Blind(FakeHost):
        def read(self, queries: object) -> Facts:
            raise OSError(5, "Input/output error")

    healer = replace(endpoint.healer, host=Blind(endpoint.clock, {"web": endpoint.service}))
    assert healer.heal(order(playbook=RESTART), Planned(plan)).ending is Ending.UNVERIFIED


# Being told to stop, and going on afterwards.


def test_a_run_that_waits_when_the_actuator_ends_is_resumed_by_the_next(endpoint: Endpoint) -> None:
    endpoint.clock.stopping = True
    with pytest.raises(Stopping):
        endpoint.heal()
    assert endpoint.stage() is Stage.VERIFYING
    endpoint.clock.stopping = False
    endpoint.restart()
    (outcome,) = endpoint.healer.resume()
    assert (outcome.ending, outcome.restarts) == (Ending.HEALED, 1)
    assert endpoint.host.steps == [StartService("web")]
    assert endpoint.host.recovered == 1


def test_nothing_to_resume_is_nothing(endpoint: Endpoint) -> None:
    assert endpoint.healer.resume() == ()
    assert endpoint.host.recovered == 0


def test_settling_is_not_begun_anew_by_a_restart(endpoint: Endpoint) -> None:
    endpoint.clock.stopping = True
    with pytest.raises(Stopping):
        endpoint.heal(order(playbook=replace(RESTART, settle=timedelta(seconds=60))))
    endpoint.clock.stopping = False
    endpoint.clock.forward(45)
    endpoint.restart()
    endpoint.healer.resume()
    assert endpoint.clock.pauses == [pytest.approx(15.0)]


def test_a_run_whose_time_is_over_gets_one_last_look(endpoint: Endpoint) -> None:
    for well, ending in ((True, Ending.HEALED), (False, Ending.ROLLED_BACK)):
        endpoint.service.answers = well
        endpoint.service.pid = 0
        endpoint.clock.stopping = True
        run_id = f"run-{well}"
        with pytest.raises(Stopping):
            endpoint.heal(order(run_id, playbook=replace(RESTART, settle=timedelta(seconds=1))))
        endpoint.clock.stopping = False
        endpoint.clock.forward(3600)
        endpoint.restart()
        (outcome,) = endpoint.healer.resume()
        assert outcome.ending is ending


def test_a_clock_set_back_between_two_starts_gives_one_stage_s_time_at_most(endpoint: Endpoint) -> None:
    endpoint.service.answers = False
    endpoint.clock.stopping = True
    with pytest.raises(Stopping):
        endpoint.heal()
    endpoint.clock.stopping = False
    endpoint.clock.wall -= timedelta(days=1)
    endpoint.restart()
    began = endpoint.clock.monotonic
    endpoint.healer.resume()
    assert endpoint.clock.monotonic - began <= RESTART.verify_within.total_seconds() + 0.001


def test_a_run_that_is_cut_off_too_often_is_settled_as_failed(endpoint: Endpoint) -> None:
    endpoint.service.answers = False
    endpoint.clock.stopping = True
    with pytest.raises(Stopping):
        endpoint.heal()
    for _ in range(RESTARTS_MAX):
        endpoint.restart()
        with pytest.raises(Stopping):
            endpoint.healer.resume()
    endpoint.restart()
    (outcome,) = endpoint.healer.resume()
    assert (outcome.ending, outcome.restarts) == (Ending.FAILED, RESTARTS_MAX + 1)


def test_after_a_boot_a_service_that_runs_is_well(endpoint: Endpoint) -> None:
    endpoint.host.come_up(endpoint.service)
    endpoint.clock.forward(60)
    endpoint.clock.stopping = True
    with pytest.raises(Stopping):
        endpoint.heal(order(playbook=replace(RESTART, settle=timedelta(seconds=1))))
    endpoint.clock.stopping = False
    endpoint.host.boot = "boot-2"
    endpoint.service.started = 3  # ticks of the new boot
    endpoint.restart()
    assert endpoint.healer.resume()[0].ending is Ending.HEALED


# Killed at any moment.


class Killed(BaseException):
    """As SIGKILL: nothing after it is done."""


class Reaper:
    """Kills at the k-th thing that the healer does with the outside world, just before or just after it."""

    def __init__(self, at: int) -> None:
        self.left = at

    def boundary(self) -> None:
        self.left -= 1
        if self.left < 0:
            self.left = 10**9
            raise Killed


class MortalHost(FakeHost):
    """Dies before and after every read and every step, as the reaper wants."""

    reaper = Reaper(10**9)

    def read(self, queries: object) -> Facts:
        self.reaper.boundary()
        found = FakeHost.read(self, list(queries))  # type: ignore[call-overload]  # it is iterable
        self.reaper.boundary()
        return found

    def run(self, step: Step, within_s: float) -> StepResult:
        self.reaper.boundary()
        result = FakeHost.run(self, step, within_s)
        self.reaper.boundary()
        return result


def mortal(path: Path, at: int) -> Endpoint:
    made = Endpoint(path)
    host = MortalHost(made.clock, made.host.services, made.host.programs, made.host.folders)
    host.reaper = Reaper(at)
    made.host = host
    made.tell = host.reaper.boundary
    made.clock.while_paused = host.reaper.boundary
    made.restart()
    return made


def down(_endpoint: Endpoint) -> Order:
    return order(playbook=RESTART)


def hangs(endpoint: Endpoint) -> Order:
    endpoint.host.come_up(endpoint.service)
    endpoint.clock.forward(60)
    return order(playbook=RESTART)


def stays_ill(endpoint: Endpoint) -> Order:
    endpoint.service.answers = False
    return order(playbook=replace(RESTART, verify_within=timedelta(seconds=0.02)))


def busy(endpoint: Endpoint) -> Order:
    endpoint.host.spin("report", 100.0)
    endpoint.host.spin("report", 120.0)
    return process_order()


def full(endpoint: Endpoint) -> Order:
    fill(endpoint)
    return folder_order()


def full_again(endpoint: Endpoint) -> Order:
    fill(endpoint)
    endpoint.host.folders["cache"].files["large.dat"] = file_facts("large.dat", 96, 10**18)
    endpoint.host.folders["cache"].limit_bytes = 160 << 10
    return replace(folder_order(), numbers={**folder_order().numbers, "target": 80.0})


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """Give a folder in memory where there is one: hundreds of journals need not wait for a disk."""
    memory = Path("/dev/shm")  # noqa: S108  # a memory file system, if there is one
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


Situation = Callable[[Endpoint], Order]
BOUNDARIES_MAX = 400


@pytest.mark.parametrize("situation", [down, hangs, stays_ill, busy, full, full_again])
@pytest.mark.parametrize("second_after", [None, 2])
def test_a_kill_at_any_moment_leaves_a_run_that_is_settled_and_nothing_done_twice(
    in_memory: Path, situation: Situation, second_after: int | None
) -> None:
    """Killed at every boundary there is, and (`second_after`) once more while the run is being resumed."""
    kills = 0
    while killed_and_settled(mortal(in_memory / f"{kills}.db", kills), situation, second_after):
        kills += 1
        assert kills < BOUNDARIES_MAX
    assert kills > 8


def killed_and_settled(endpoint: Endpoint, situation: Situation, second_after: int | None) -> bool:
    """Have one run killed and settle it; say whether the run lasted until there."""
    wanted = situation(endpoint)
    try:
        endpoint.healer.heal(wanted)
    except Killed:
        settle(endpoint, second_after)
        check(endpoint, wanted)
        return True
    finally:
        endpoint.connection.close()
    return False


def settle(endpoint: Endpoint, second_after: int | None) -> None:
    assert isinstance(endpoint.host, MortalHost)
    if second_after is not None:
        endpoint.host.reaper.left = second_after
        endpoint.restart()
        with contextlib.suppress(Killed):
            endpoint.healer.resume()
    endpoint.host.reaper.left = 10**9
    endpoint.restart()
    endpoint.healer.resume()


def check(endpoint: Endpoint, wanted: Order) -> None:
    forward = [step for step in endpoint.host.steps if not isinstance(step, StopService | RestoreFile)]
    assert len(forward) == len(set(forward)), "a step was carried out twice"
    assert endpoint.journal.unfinished() == ()
    (outcome,) = endpoint.reported()
    assert outcome.run_id == wanted.run_id
    begun = endpoint.connection.execute("SELECT count(*) FROM step WHERE direction = 'forward'").fetchone()[0]
    assert len(forward) <= begun, "a step was carried out that is not in the journal"
    if outcome.ending is Ending.REFUSED:
        assert endpoint.host.steps == []
    if outcome.ending is Ending.ROLLED_BACK:
        assert endpoint.host.folders["cache"].trash == {}
        assert endpoint.service.pid == 0
