import os
import subprocess
import sys

import pytest
from domain_values import NOW, WEB

from homeostat.diagnosis import WITNESSES, FaultClass, rank
from homeostat.evidence import Signal, SignalKind
from homeostat.subject import Subject, SubjectKind

DB = Subject(SubjectKind.SERVICE, "db")


def signal(kind: SignalKind, subject: Subject = WEB) -> Signal:
    return Signal(kind, subject, NOW)


def test_every_kind_of_signal_speaks_for_a_fault() -> None:
    assert set(WITNESSES) == set(SignalKind)
    assert {one.fault for one in WITNESSES.values()} == set(FaultClass) - {FaultClass.UNEXPLAINED}
    assert all(0 < one.confidence <= 1 and one.samples_least >= 1 for one in WITNESSES.values())


@pytest.mark.parametrize("kind", SignalKind)
def test_one_signal_alone_is_as_sure_as_its_witness(kind: SignalKind) -> None:
    # To the last digit: a policy's least confidence is written with the same number.
    (found,) = rank([signal(kind)])
    assert found.confidence == WITNESSES[kind].confidence
    assert found.samples_least == WITNESSES[kind].samples_least


def test_the_same_witness_twice_is_no_surer() -> None:
    (found,) = rank([signal(SignalKind.PROBE_FAILED), signal(SignalKind.PROBE_FAILED)])
    assert found.confidence == 0.8
    assert len(found.signals) == 2


def test_independent_witnesses_strengthen_each_other() -> None:
    (found,) = rank([signal(SignalKind.PROBE_FAILED), signal(SignalKind.NO_PROGRESS)])
    assert found.confidence == pytest.approx(0.98)
    assert found.samples_least == 1


def test_the_surest_comes_first_and_equals_by_name() -> None:
    found = rank([
        signal(SignalKind.MEMORY_GROWING),
        signal(SignalKind.SERVICE_EXITED),
        signal(SignalKind.SERVICE_EXITED, DB),
        signal(SignalKind.CPU_RUNAWAY),
    ])  # fmt: skip
    assert [(one.fault, one.subject.name) for one in found] == [
        (FaultClass.SERVICE_DOWN, "db"),
        (FaultClass.SERVICE_DOWN, "web"),
        (FaultClass.RUNAWAY_CPU, "web"),
        (FaultClass.MEMORY_LEAK, "web"),
    ]


def test_nothing_means_nothing() -> None:
    assert rank([]) == ()


PROGRAM = """
from datetime import UTC, datetime
from homeostat.diagnosis import Witness, FaultClass, _hypothesis
from homeostat import diagnosis
from homeostat.evidence import Signal, SignalKind
from homeostat.subject import ENDPOINT
odd = (0.1, 0.2, 0.3, 0.15, 0.05)
kinds = list(SignalKind)[: len(odd)]
diagnosis.WITNESSES = {kind: Witness(FaultClass.DISK_FULL, one, 1) for kind, one in zip(kinds, odd)}
print(repr(_hypothesis(tuple(Signal(kind, ENDPOINT, datetime.now(UTC)) for kind in kinds)).confidence))
"""


def test_every_process_comes_to_the_same_confidence() -> None:
    # Sets of texts are walked in another order in each process, and a product of floats depends on its order.
    said = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=os.environ | {"PYTHONHASHSEED": str(seed)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in range(1, 7)
    }
    assert len(said) == 1
