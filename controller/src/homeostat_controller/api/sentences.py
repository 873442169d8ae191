"""Evidence and plan steps as sentences that a person reads; the same ones in console, API and command line.

They are made from the wire's messages, so that what a newer agent says is shown even where it is unknown here.
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from homeostat.wire.v1 import incident_pb2
from homeostat_controller.api.schemas import Evidence

ATTRIBUTIONS_SHOWN = 3
SIGNALS_SHOWN = 20
# A plan may move thousands of files; a person reads some of them and the number of the rest.
STEPS_SHOWN = 12
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def of_evidence(evidence: incident_pb2.Evidence) -> list[Evidence]:
    """Return what an incident rests on: direct signals first, then what the model says."""
    said = [Evidence(kind=one.kind, sentence=of_signal(one)) for one in evidence.signals[:SIGNALS_SHOWN]]
    if evidence.HasField("anomaly"):
        said.append(Evidence(kind="model", sentence=of_anomaly(evidence.anomaly)))
    return said


def of_signal(signal: incident_pb2.Signal) -> str:
    """Say what was observed, and what it was held against where there is a number."""
    what = f"{signal.kind.replace('-', ' ')} on {of_subject(signal.subject)}"
    if signal.value != signal.limit:
        unit = f" {signal.unit}" if signal.unit else ""
        what += f": {_number(signal.value)}{unit}, limit {_number(signal.limit)}{unit}"
    return f"{what} ({signal.detail})" if signal.detail else what


def of_anomaly(anomaly: incident_pb2.Anomaly) -> str:
    """Say how unusual the model found the sample, and which measurements made it so."""
    share = f"{anomaly.p_value:.2%}" if anomaly.p_value >= 0.0001 else f"{anomaly.p_value:.1g}"
    told = f"{share} of normal samples are as unusual"
    parts = [
        f"{one.feature} {_number(one.value)}, usually {_number(one.usual)}"
        for one in anomaly.attributions[:ATTRIBUTIONS_SHOWN]
    ]
    return f"{told}: {'; '.join(parts)}" if parts else told


def of_subject(subject: incident_pb2.Subject) -> str:
    """Return a subject as people write it."""
    return f"{subject.kind}:{subject.name}" if subject.kind else "the endpoint"


def of_steps(steps: Iterable[incident_pb2.Step]) -> list[str]:
    """Say what would be done, in order, at most STEPS_SHOWN lines and one for the rest."""
    every = list(steps)
    said = [of_step(step) for step in every[:STEPS_SHOWN]]
    return [*said, f"and {len(every) - STEPS_SHOWN} more like these"] if len(every) > STEPS_SHOWN else said


def of_step(step: incident_pb2.Step) -> str:
    """Say what one step does."""
    kind = step.WhichOneof("step")
    return _STEPS[kind](getattr(step, kind)) if kind and kind in _STEPS else "a step that this controller does not know"


def size_of(count: int) -> str:
    """Return a number of bytes as a person reads it."""
    size = float(count)
    for unit in _UNITS[:-1]:
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} {_UNITS[-1]}"


def _removal(step: incident_pb2.RemoveFile) -> str:
    what = f"{step.path} ({size_of(step.size_bytes)})"
    return f"move {what} to the trash of {step.folder}" if step.keep else f"remove {what} from {step.folder}"


_STEPS: Mapping[str | None, Callable[[Any], str]] = MappingProxyType(
    {
        "start_service": lambda step: f"start service {step.service}",
        "stop_service": lambda step: f"stop service {step.service}",
        "restart_service": lambda step: f"restart service {step.service}",
        "end_process": lambda step: f"end process {step.pid}, killing it after {step.grace_s:g} s",
        "remove_file": _removal,
        "restore_file": lambda step: f"bring {step.path} back into {step.folder}",
    }
)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
