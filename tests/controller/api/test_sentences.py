import pytest

from homeostat.wire.v1 import incident_pb2 as pb
from homeostat_controller.api.sentences import (
    SIGNALS_SHOWN,
    STEPS_SHOWN,
    of_evidence,
    of_signal,
    of_step,
    of_steps,
    of_subject,
    size_of,
)

WEB = pb.Subject(kind="service", name="web")


@pytest.mark.parametrize(
    ("signal", "sentence"),
    [
        (pb.Signal(kind="service-exited", subject=WEB, value=1, limit=1), "service exited on service:web"),
        (
            pb.Signal(kind="memory-over-limit", subject=WEB, value=131.5, limit=96, unit="MiB", detail="pid 7"),
            "memory over limit on service:web: 131.5 MiB, limit 96 MiB (pid 7)",
        ),
        (
            pb.Signal(kind="clock-stepped", value=12345678, limit=2),
            "clock stepped on the endpoint: 12,345,678, limit 2",
        ),
    ],
)
def test_a_signal_says_what_was_held_against_what(signal: pb.Signal, sentence: str) -> None:
    assert of_signal(signal) == sentence


def test_the_model_says_how_unusual_and_why() -> None:
    anomaly = pb.Anomaly(
        p_value=0.0003, attributions=[pb.Attribution(feature="cpu.busy", value=97, usual=4.1, share=0.8)]
    )
    said = of_evidence(pb.Evidence(anomaly=anomaly))
    assert [one.kind for one in said] == ["model"]
    assert said[0].sentence == "0.03% of normal samples are as unusual: cpu.busy 97, usually 4.1"


def test_evidence_is_bounded() -> None:
    signal = pb.Signal(kind="probe-failed", subject=WEB)
    assert len(of_evidence(pb.Evidence(signals=[signal] * SIGNALS_SHOWN))) == SIGNALS_SHOWN
    assert len(of_evidence(pb.Evidence(signals=[signal] * (SIGNALS_SHOWN + 1)))) == SIGNALS_SHOWN


@pytest.mark.parametrize(
    ("step", "sentence"),
    [
        (pb.Step(start_service=pb.StartService(service="web")), "start service web"),
        (pb.Step(stop_service=pb.StopService(service="web")), "stop service web"),
        (pb.Step(restart_service=pb.RestartService(service="web")), "restart service web"),
        (pb.Step(end_process=pb.EndProcess(pid=7, grace_s=5)), "end process 7, killing it after 5 s"),
        (
            pb.Step(remove_file=pb.RemoveFile(folder="cache", path="a.tmp", size_bytes=2048, keep=True)),
            "move a.tmp (2.0 KiB) to the trash of cache",
        ),
        (
            pb.Step(remove_file=pb.RemoveFile(folder="cache", path="a.tmp", size_bytes=3)),
            "remove a.tmp (3 B) from cache",
        ),
        (pb.Step(restore_file=pb.RestoreFile(folder="cache", path="a.tmp")), "bring a.tmp back into cache"),
        (pb.Step(), "a step that this controller does not know"),
    ],
)
def test_each_step_is_a_sentence(step: pb.Step, sentence: str) -> None:
    assert of_step(step) == sentence


def test_a_long_plan_is_told_in_part() -> None:
    step = pb.Step(start_service=pb.StartService(service="web"))
    assert len(of_steps([step] * STEPS_SHOWN)) == STEPS_SHOWN
    assert of_steps([step] * (STEPS_SHOWN + 3))[-1] == "and 3 more like these"


def test_sizes_have_units() -> None:
    assert [size_of(count) for count in (0, 1023, 1024, 5 << 20, 3 << 40)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "5.0 MiB",
        "3.0 TiB",
    ]


def test_a_subject_without_a_kind_is_the_endpoint() -> None:
    assert of_subject(pb.Subject()) == "the endpoint"
