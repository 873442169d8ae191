"""The feature vector: METRICS' order, amounts compressed, what is missing as NaN, and back again for people."""

from datetime import UTC, datetime, timedelta
from math import inf, isnan, log1p

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.features import COMPRESSED, FEATURES, extract, natural
from homeostat.sample import METRICS, Sample, Window

AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_features_are_the_metrics_in_their_order() -> None:
    assert tuple(METRICS) == FEATURES


def test_percent_and_seconds_stay_and_amounts_are_compressed() -> None:
    window = Window(3).add(Sample(AT, {"cpu.busy": 40.0, "clock.step": -2.0, "disk.read": 999.0, "load.1m": 0.0}))
    vector = dict(zip(FEATURES, extract(window), strict=True))
    assert (vector["cpu.busy"], vector["clock.step"]) == (40.0, -2.0)
    assert (vector["disk.read"], vector["load.1m"]) == (log1p(999.0), 0.0)


def test_only_the_newest_sample_counts_and_what_it_lacks_is_nan() -> None:
    window = Window(3).add(Sample(AT, {"cpu.busy": 40.0})).add(Sample(AT + timedelta(seconds=5), {"load.1m": 1.0}))
    vector = dict(zip(FEATURES, extract(window), strict=True))
    assert isnan(vector["cpu.busy"])
    assert vector["load.1m"] == log1p(1.0)


def test_an_empty_window_has_no_features() -> None:
    with pytest.raises(ValueError, match="no sample"):
        extract(Window(3))


def test_a_negative_amount_counts_as_none() -> None:
    assert extract(Window(1).add(Sample(AT, {"disk.read": -5.0})))[FEATURES.index("disk.read")] == 0.0


@given(st.sampled_from(FEATURES), st.floats(0.0, 1e15))
def test_a_value_comes_back_in_its_own_unit(name: str, value: float) -> None:
    feature = extract(Window(1).add(Sample(AT, {name: value})))[FEATURES.index(name)]
    assert natural(name, feature) == pytest.approx(value, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("value", [710.0, 1e300, inf])
def test_a_feature_beyond_every_amount_still_has_one(value: float) -> None:
    assert natural("disk.read", value) < inf
    assert "disk.read" in COMPRESSED


def test_what_is_no_feature_has_no_unit() -> None:
    with pytest.raises(KeyError):
        natural("cpu.bus", 1.0)
