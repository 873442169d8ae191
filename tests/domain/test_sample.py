from datetime import UTC, datetime, timedelta

import pytest

from homeostat.sample import METRICS, Sample, Window

START = datetime(2030, 1, 31, tzinfo=UTC)


def at(second: float) -> Sample:
    return Sample(START + timedelta(seconds=second), {"cpu.busy": second})


def test_a_sample_may_leave_metrics_out() -> None:
    assert Sample(START, {}).values == {}
    assert len(Sample(START, dict.fromkeys(METRICS, 0.0)).values) == len(METRICS)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_sample_holds_finite_numbers(number: float) -> None:
    with pytest.raises(ValueError, match="finite numbers only"):
        Sample(START, {"cpu.busy": number})


def test_a_sample_invents_no_metrics() -> None:
    with pytest.raises(ValueError, match=r"not a metric: cpu\.bsy, zzz"):
        Sample(START, {"zzz": 1.0, "cpu.bsy": 1.0, "cpu.busy": 1.0})


def test_a_window_keeps_the_newest_samples_up_to_its_length() -> None:
    window = Window(3)
    assert window.span == timedelta()
    for second in range(5):
        window = window.add(at(second))
    assert window.samples == (at(2), at(3), at(4))
    assert window.span == timedelta(seconds=2)


@pytest.mark.parametrize("second", [1.0, 0.5])
def test_a_clock_that_does_not_move_on_starts_a_new_window(second: float) -> None:
    window = Window(9).add(at(0)).add(at(1)).add(at(second))
    assert window.samples == (at(second),)


@pytest.mark.parametrize("length", [0, -1])
def test_a_window_without_a_bound_does_not_exist(length: int) -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        Window(length)


def test_a_window_of_one() -> None:
    assert Window(1).add(at(0)).add(at(1)).samples == (at(1),)
