"""Made-up recordings for tests that must not depend on what was measured."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from random import Random

from homeostat.sample import METRICS, Sample
from homeostat_models.datasets import Recording

START = datetime(2026, 1, 1, tzinfo=UTC)


def made_up(name: str, count: int, seed: int = 1, *, burst: float = 0.0) -> Recording:
    """A calm machine with correlated loads; `burst` raises cpu.busy by so many percent."""
    return Recording(name, name.removeprefix("fault-") if burst else "", tuple(samples(count, seed, burst=burst)))


def samples(count: int, seed: int = 1, *, burst: float = 0.0) -> Iterable[Sample]:
    random = Random(seed)  # noqa: S311  # a repeatable sequence, no secret
    for i in range(count):
        load = abs(random.gauss(0.0, 1.0))
        values = {name: abs(random.gauss(5.0, 1.0)) for name in METRICS}
        values["cpu.busy"] = 20.0 + 5.0 * load + burst
        values["psi.cpu.some"] = 2.0 * load
        values["load.1m"] = load
        yield Sample(START + timedelta(seconds=2 * i), values)
