from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fakes.host import FakeHost
from homeostat.evidence import Signal, SignalKind
from homeostat.policy import NO_POLICY, Policy, Threshold
from homeostat.subject import ENDPOINT, Subject, SubjectKind
from homeostat_agent.config import AgentConfig, Folder, Probe, Program, Service, WatchedFile
from homeostat_agent.decider.checks import Findings, of_event, update
from homeostat_agent.decider.sensing.port import ServiceReading, ServiceStatus
from homeostat_agent.decider.watching.events import (
    FileChange,
    FileChanged,
    FileRole,
    ProcessExited,
    UnitChanged,
    WatchEvent,
    WatchInterrupted,
    WatchResumed,
)

NOW = datetime(2027, 1, 1, tzinfo=UTC)
MIB = 1 << 20
WEB = Subject(SubjectKind.SERVICE, "web")
CONFIG = AgentConfig(
    service=(
        Service("web", command=("/x",), probe=Probe(http="http://127.0.0.1:80/health"), memory_max_mib=200.0),
        Service("db", unit="db.service"),
    ),
    program=(Program("job", "/opt/job"),),
    folder=(Folder("logs", "/srv/logs", ("*.log",), limit_mib=10.0),),
    watched_file=(WatchedFile("site", "/etc/site.conf"),),
)


class Scene:
    """A machine in plain values, read every five seconds and checked."""

    def __init__(self, policy: Policy = NO_POLICY) -> None:
        self.now = NOW
        self.host = FakeHost(CONFIG, lambda: self.now)
        self.policy = policy
        self.findings = Findings()

    def check(self, events: Iterable[WatchEvent] = ()) -> tuple[Signal, ...]:
        self.now += timedelta(seconds=5)
        self.findings, signals = update(self.findings, self.host.read(), events, CONFIG, self.policy)
        return signals

    def kinds(self, events: Iterable[WatchEvent] = ()) -> list[tuple[SignalKind, str]]:
        return [(one.kind, str(one.subject)) for one in self.check(events)]


@pytest.fixture
def scene() -> Scene:
    made = Scene()
    assert made.check() == ()
    return made


def limited(name: str, value: float) -> Policy:
    return Policy("p", thresholds={name: Threshold(name, value)})


def test_a_quiet_machine_gives_no_signal(scene: Scene) -> None:
    assert [scene.check() for _ in range(20)] == [()] * 20


def test_a_service_that_is_down_or_failed(scene: Scene) -> None:
    scene.host.end("web")
    scene.host.end("db", ServiceStatus.FAILED)
    web, db = scene.check()
    assert web == Signal(SignalKind.SERVICE_EXITED, WEB, scene.now, detail="web does not run.")
    assert (db.kind, db.detail) == (SignalKind.SERVICE_FAILED, "db.service has failed.")
    scene.host.run("web")
    scene.host.run("db")
    assert scene.check() == ()


def test_a_service_of_which_nothing_is_known_gives_no_signal(scene: Scene) -> None:
    scene.host.end("web", ServiceStatus.UNKNOWN)
    assert scene.check() == ()


def test_a_stopped_main_process_makes_no_progress(scene: Scene) -> None:
    pid = scene.host.run("web")
    scene.host.freeze("web")
    (found,) = scene.check()
    assert (found.kind, found.subject) == (SignalKind.NO_PROGRESS, WEB)
    assert found.detail == f"The main process {pid} of web is stopped by a signal: it does nothing."


def test_a_failed_probe_says_what_was_asked_when_and_what_came(scene: Scene) -> None:
    scene.host.answer("web", answers=False, detail="no answer within 2 s")
    (found,) = scene.check()
    assert (found.kind, found.subject) == (SignalKind.PROBE_FAILED, WEB)
    assert found.detail == "web failed its probe of http://127.0.0.1:80/health 1.0 s ago: no answer within 2 s."
    scene.host.answer("web", answers=True)
    assert scene.check() == ()
    scene.host.answer("web", answers=None)
    assert scene.check() == ()


def test_memory_at_the_limit_of_the_service(scene: Scene) -> None:
    scene.host.hold("web", 200 * MIB - 1)
    assert scene.check() == ()
    scene.host.hold("web", 200 * MIB)
    (found,) = scene.check()
    assert (found.kind, found.value, found.limit, found.unit) == (
        SignalKind.MEMORY_OVER_LIMIT,
        200.0 * MIB,
        200.0 * MIB,
        "bytes",
    )
    assert found.detail == "web holds 200.0 MiB of memory; its limit is 200.0 MiB."


def test_the_policy_may_move_a_services_limit() -> None:
    scene = Scene(limited("memory_limit_percent", 150.0))
    scene.host.hold("web", 250 * MIB)
    assert scene.check() == ()
    scene.host.hold("web", 300 * MIB)
    assert scene.kinds() == [(SignalKind.MEMORY_OVER_LIMIT, "service:web")]


def test_steady_growth_towards_the_limit(scene: Scene) -> None:
    signals: tuple[Signal, ...] = ()
    for number in range(14):
        scene.host.hold("web", (50 + 2 * number) * MIB)
        signals = scene.check()
    (found,) = signals
    assert (found.kind, found.subject, found.unit) == (SignalKind.MEMORY_GROWING, WEB, "bytes per second")
    assert found.value > found.limit > 0
    assert "grows by 24.0 MiB a minute: in 5 min it reaches 200.0 MiB." in found.detail
    scene.host.run("web", memory_bytes=76 * MIB)
    assert scene.check() == ()  # a new process: a new track


def test_a_service_without_a_limit_is_held_against_what_the_machine_has_left(scene: Scene) -> None:
    scene.host.values["memory.available"] = 100.0 * MIB
    signals: tuple[Signal, ...] = ()
    for number in range(14):
        scene.host.hold("db", (500 + 5 * number) * MIB)
        signals = scene.check()
    assert [(one.kind, str(one.subject)) for one in signals] == [(SignalKind.MEMORY_GROWING, "service:db")]
    del scene.host.values["memory.available"]
    scene.host.hold("db", 800 * MIB)
    assert scene.check() == ()


def test_a_process_that_burns_without_a_pause(scene: Scene) -> None:
    pid = scene.host.burn("job", 97.0)
    assert scene.check() == ()  # seen for the first time: no share of the CPU is known
    (found,) = scene.check()
    assert (found.kind, str(found.subject), found.value, found.limit) == (
        SignalKind.CPU_RUNAWAY,
        "process:job",
        97.0,
        90.0,
    )
    assert found.detail == f"Process {pid} of job uses 97 % of a cpu; the limit is 90 %."
    assert len(scene.check()) == 1
    scene.host.burn("job", 20.0, pid=pid)
    assert scene.check() == ()


def test_one_busy_process_after_the_other_is_work_and_no_runaway(scene: Scene) -> None:
    signals = []
    for _ in range(6):
        pid = scene.host.burn("job", 99.0)
        scene.check()
        signals.append(len(scene.check()))
        scene.host.stop_process(pid)
    # A signal at most in every other sample: never the three in a row that an incident needs.
    assert max(signals) == 1
    first = scene.host.burn("job", 99.0)
    scene.check()
    second = scene.host.burn("job", 99.0)
    scene.check()
    scene.host.stop_process(first)
    assert [one.detail.split()[1] for one in scene.check()] in ([], [str(second)])


def test_another_process_that_is_busy_at_once_after_the_first_breaks_the_chain() -> None:
    scene = Scene()
    first, second = scene.host.burn("job", 99.0), scene.host.burn("job", 1.0)
    scene.check()
    assert [one.detail.split()[1] for one in scene.check()] == [str(first)]
    scene.host.burn("job", 1.0, pid=first)
    scene.host.burn("job", 99.0, pid=second)
    assert scene.check() == ()
    assert [one.detail.split()[1] for one in scene.check()] == [str(second)]


def test_a_folder_over_its_limit(scene: Scene) -> None:
    scene.host.fill("logs", 89.9)
    assert scene.check() == ()
    scene.host.fill("logs", 95.0)
    (found,) = scene.check()
    assert (found.kind, str(found.subject), found.value, found.limit) == (
        SignalKind.DISK_OVER_LIMIT,
        "folder:logs",
        95.0,
        90.0,
    )
    assert found.detail == "Folder logs is at 95.0 % (9.5 of 10.0 MiB); the limit is 90 %."


@pytest.mark.parametrize(
    ("metric", "value", "kind", "words"),
    [
        (
            "disk.used.max",
            93.0,
            SignalKind.DISK_OVER_LIMIT,
            "The file system at /srv is 93.0 % full; the limit is 90 %.",
        ),
        (
            "disk.inodes.max",
            91.0,
            SignalKind.INODES_OVER_LIMIT,
            "Of the inodes of the file system at /srv 91.0 % are used; the limit is 90 %.",
        ),
        (
            "descriptors.used",
            90.0,
            SignalKind.DESCRIPTORS_OVER_LIMIT,
            "Of the system's file descriptors 90.0 % are used; the limit is 90 %.",
        ),
        (
            "psi.memory.full",
            25.0,
            SignalKind.MEMORY_PRESSURE,
            "All work waited for memory 25.0 % of the time; the limit is 20 %.",
        ),
        ("clock.step", 3.5, SignalKind.CLOCK_STEPPED, "The clock was set forward by 3.5 s; steps below 2 s are usual."),
        ("clock.step", -60.0, SignalKind.CLOCK_STEPPED, "The clock was set back by 60.0 s; steps below 2 s are usual."),
    ],
)
def test_the_endpoints_own_limits(scene: Scene, metric: str, value: float, kind: SignalKind, words: str) -> None:
    scene.host.disk_fullest = "/srv"
    scene.host.values[metric] = value
    (found,) = scene.check()
    assert (found.kind, found.subject, found.value, found.detail) == (kind, ENDPOINT, value, words)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("disk.used.max", "disk_used_percent"),
        ("disk.inodes.max", "inodes_used_percent"),
        ("descriptors.used", "descriptors_used_percent"),
        ("psi.memory.full", "memory_pressure_percent"),
        ("clock.step", "clock_step_seconds"),
    ],
)
def test_every_limit_is_the_policys(metric: str, name: str) -> None:
    scene = Scene(limited(name, 60.0))
    scene.host.values[metric] = 59.9
    scene.check()
    assert scene.check() == ()
    scene.host.values[metric] = 60.0
    assert [one.limit for one in scene.check()] == [60.0]


def test_what_was_not_measured_gives_no_signal(scene: Scene) -> None:
    scene.host.values.clear()
    assert scene.check() == ()


def file_event(change: FileChange, detail: str = "", role: FileRole = FileRole.WATCHED) -> FileChanged:
    return FileChanged(role, "site", "/etc/site.conf", change, NOW, detail)


def test_a_changed_file_is_a_signal_of_one_moment(scene: Scene) -> None:
    (found,) = scene.check([file_event(FileChange.CHANGED)])
    assert (found.kind, str(found.subject), found.detail) == (
        SignalKind.FILE_CHANGED,
        "file:site",
        "/etc/site.conf has changed.",
    )
    assert scene.check() == ()


@pytest.mark.parametrize(
    ("bad", "good", "kind", "words"),
    [
        (FileChange.MISSING, FileChange.BACK, SignalKind.FILE_MISSING, "/etc/site.conf is missing."),
        (FileChange.INVALID, FileChange.VALID, SignalKind.FILE_INVALID, "/etc/site.conf is not valid: line 3"),
    ],
)
def test_a_missing_or_invalid_file_stays_one_until_it_is_right_again(
    scene: Scene, bad: FileChange, good: FileChange, kind: SignalKind, words: str
) -> None:
    for signals in (scene.check([file_event(bad, "line 3")]), scene.check(), scene.check()):
        assert [(one.kind, one.detail, one.at) for one in signals] == [(kind, words, signals[0].at)]
    assert scene.check([file_event(good)]) == ()
    assert scene.check() == ()


def test_an_invalid_file_that_changes_is_invalid_until_its_check_says_otherwise(scene: Scene) -> None:
    scene.check([file_event(FileChange.INVALID, "line 3")])
    kinds = {kind for kind, _ in scene.kinds([file_event(FileChange.CHANGED)])}
    assert kinds == {SignalKind.FILE_INVALID, SignalKind.FILE_CHANGED}


@pytest.mark.parametrize("role", [FileRole.CONFIG, FileRole.MODEL, FileRole.POLICY])
def test_the_agents_own_files_are_no_subjects(scene: Scene, role: FileRole) -> None:
    assert scene.check([file_event(FileChange.MISSING, role=role)]) == ()
    assert of_event(file_event(FileChange.CHANGED, role=role)) == ()


def test_an_exit_is_evidence_the_moment_it_is_told() -> None:
    (found,) = of_event(ProcessExited("web", 77, NOW))
    assert (found.kind, found.subject, found.at) == (SignalKind.SERVICE_EXITED, WEB, NOW)
    assert found.detail == "The main process 77 of web has ended."


@pytest.mark.parametrize(
    ("active", "sub", "kind"),
    [
        ("failed", "failed", SignalKind.SERVICE_FAILED),
        ("inactive", "dead", SignalKind.SERVICE_EXITED),
        ("activating", "auto-restart", None),
        ("active", "running", None),
        ("deactivating", "stop-sigterm", None),
    ],
)
def test_what_a_units_change_is_evidence_of(active: str, sub: str, kind: SignalKind | None) -> None:
    found = of_event(UnitChanged("web", "web.service", active, sub, 0, "exit-code", NOW))
    assert [one.kind for one in found] == ([] if kind is None else [kind])
    assert all("its last run ended with exit-code." in one.detail for one in found)


def test_most_events_are_evidence_of_nothing() -> None:
    assert of_event(WatchInterrupted("units", "x", NOW)) == ()
    assert of_event(WatchResumed("units", NOW)) == ()
    assert of_event(file_event(FileChange.BACK)) == ()


def test_an_exit_alone_is_no_signal_of_a_sample_in_which_the_service_runs_again(scene: Scene) -> None:
    assert scene.check([ProcessExited("web", 77, NOW)]) == ()


def test_the_same_state_reading_and_events_give_the_same_signals(scene: Scene) -> None:
    scene.host.end("web")
    reading, events = scene.host.read(), [file_event(FileChange.MISSING)]
    first = update(scene.findings, reading, events, CONFIG, NO_POLICY)
    assert update(scene.findings, reading, iter(events), CONFIG, NO_POLICY) == first


def test_a_service_that_the_configuration_does_not_know_is_still_judged() -> None:
    reading = replace(FakeHost(CONFIG).read(), services=(ServiceReading("other", ServiceStatus.DOWN),))
    _, signals = update(Findings(), reading, (), CONFIG, NO_POLICY)
    assert [str(one.subject) for one in signals] == ["service:other"]
