from datetime import UTC, datetime
from math import inf, isnan, log1p

import pytest

from homeostat.features import COMPRESSED, FEATURE_SET_VERSION, FEATURES, extract, natural
from homeostat.sample import METRICS, Sample, Window

NOW = datetime(2030, 1, 31, tzinfo=UTC)


def vector(**values: float) -> dict[str, float]:
    sample = Sample(NOW, {name.replace("_", "."): value for name, value in values.items()})
    return dict(zip(FEATURES, extract(Window(1).add(sample)), strict=True))


def test_the_features_of_this_version_are_these_in_this_order() -> None:
    # A trained model counts on it: who changes this list raises the version.
    assert FEATURE_SET_VERSION == 1
    assert tuple(METRICS) == FEATURES
    assert (len(FEATURES), FEATURES[0], FEATURES[-1]) == (25, "cpu.busy", "clock.step")


def test_percents_and_seconds_stay_as_they_are_and_amounts_are_compressed() -> None:
    found = vector(cpu_busy=50.0, clock_step=-3.0, disk_read=1e6, load_1m=0.0)
    assert (found["cpu.busy"], found["clock.step"], found["load.1m"]) == (50.0, -3.0, 0.0)
    assert found["disk.read"] == log1p(1e6)
    assert "disk.read" in COMPRESSED
    assert "cpu.busy" not in COMPRESSED


def test_what_is_missing_is_not_a_number() -> None:
    found = vector(cpu_busy=50.0)
    assert sum(map(isnan, found.values())) == len(FEATURES) - 1


def test_an_amount_below_zero_counts_as_nothing() -> None:
    assert vector(disk_read=-1.0)["disk.read"] == 0.0


def test_the_newest_sample_counts() -> None:
    window = Window(2).add(Sample(NOW, {"cpu.busy": 1.0})).add(Sample(NOW.replace(hour=1), {"cpu.busy": 2.0}))
    assert extract(window)[0] == 2.0


def test_an_empty_window_has_no_features() -> None:
    with pytest.raises(ValueError, match="no sample"):
        extract(Window(1))


@pytest.mark.parametrize(("name", "value"), [("disk.read", 1e9), ("cpu.busy", 50.0), ("clock.step", -1.0)])
def test_people_read_a_feature_in_its_own_unit(name: str, value: float) -> None:
    feature = vector(**{name.replace(".", "_"): value})[name]
    assert natural(name, feature) == pytest.approx(value)


def test_a_feature_beyond_all_numbers_is_still_one() -> None:
    assert natural("disk.read", 1e6) < inf
    with pytest.raises(KeyError):
        natural("disk", 1.0)
