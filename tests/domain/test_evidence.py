from dataclasses import FrozenInstanceError

import pytest
from domain_values import EXITED, NOW, WEB

from homeostat.evidence import Anomaly, Attribution, Evidence, Signal, SignalKind


def test_a_signal_without_a_number_is_at_its_limit() -> None:
    signal = Signal(SignalKind.SERVICE_EXITED, WEB, NOW)
    assert signal.value == signal.limit


def test_evidence_is_empty_until_something_is_known() -> None:
    assert Evidence() == Evidence((), None)
    assert not Evidence(anomaly=Anomaly(0.9, 1e-6)).signals


def test_evidence_is_compared_by_value_and_never_changes() -> None:
    odd = Anomaly(0.9, 1e-6, (Attribution("cpu.busy", 1.0, 99.0, 5.0),), "m1")
    assert Evidence((EXITED,), odd) == Evidence((Signal(SignalKind.SERVICE_EXITED, WEB, NOW),), odd)
    assert len({Evidence((EXITED,), odd), Evidence((EXITED,), odd)}) == 1
    with pytest.raises(FrozenInstanceError):
        odd.score = 0.0  # type: ignore[misc]  # that is what is tried
