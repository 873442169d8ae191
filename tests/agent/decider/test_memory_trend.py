from collections.abc import Sequence

from homeostat_agent.decider import memory_trend as module
from homeostat_agent.decider.memory_trend import MemoryTrack

MIB = 1 << 20
LIMIT = 200.0 * MIB


def track(used_mib: Sequence[float], *, apart_s: float = 5.0) -> MemoryTrack:
    made = MemoryTrack()
    for number, used in enumerate(used_mib):
        made = made.add(7, 70, number * apart_s, int(used * MIB))
    return made


def test_steady_growth_that_reaches_the_limit_soon_has_a_rate() -> None:
    slope = track([100 + n * 0.5 for n in range(40)]).growth(LIMIT)
    assert slope is not None
    assert abs(slope - 0.1 * MIB) < 0.01 * MIB


def test_a_level_service_does_not_grow_whatever_jumps_on_it() -> None:
    assert track([100.0] * 40).growth(LIMIT) is None
    assert track([100 + (n % 7) * 3 for n in range(60)]).growth(LIMIT) is None
    assert track([100.0] * 20 + [150.0] + [100.0] * 20).growth(LIMIT) is None


def test_growth_too_slow_to_reach_the_limit_is_not_told() -> None:
    assert track([10 + n * 0.01 for n in range(60)]).growth(1e12) is None
    steady = [100 + n * 0.01 for n in range(60)]
    assert track(steady).growth(LIMIT) is None  # less than the share of the limit that counts as noise


def test_a_service_that_fills_its_caches_slows_down_and_is_not_told() -> None:
    assert track([150 - 100 * 0.9**n for n in range(40)]).growth(LIMIT) is None


def test_a_release_of_memory_ends_the_growth() -> None:
    assert track([100 + n for n in range(30)] + [50 + n for n in range(20)]).growth(LIMIT) is None


def test_a_short_track_says_nothing() -> None:
    rising = [100.0 + 5 * n for n in range(60)]
    assert track(rising[: module.POINTS_LEAST - 1], apart_s=10).growth(LIMIT) is None
    assert track(rising[: module.POINTS_LEAST], apart_s=5).growth(LIMIT) is not None
    assert MemoryTrack().growth(LIMIT) is None


def test_samples_close_together_are_thinned_so_that_the_track_spans_minutes() -> None:
    made = track([100.0 + n for n in range(100)], apart_s=1.0)
    assert len(made.points) == 20
    assert made.points[-1][0] - made.points[-2][0] == module.APART_S


def test_the_track_is_bounded() -> None:
    assert len(track([100.0] * 500).points) == module.POINTS_MAX


def test_another_process_or_a_clock_set_back_begins_a_new_track() -> None:
    made = track([100.0] * 20)
    assert made.add(8, 80, 1000.0, 5).points == ((1000.0, 5),)
    assert made.add(7, 71, 1000.0, 5).points == ((1000.0, 5),)
    assert made.add(7, 70, 1.0, 5).points == ((1.0, 5),)
