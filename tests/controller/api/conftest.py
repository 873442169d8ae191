"""One filled controller for all tests that only look, and a fresh one for those that change something."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures_web import Web, core_on, fill, serving

from fakes.moved_clock import MovedClock


@pytest.fixture(scope="session")
def seen(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A filled controller that nobody changes."""
    with core_on(tmp_path_factory.mktemp("seen"), migrated_sqlite, MovedClock()) as core:
        fill(core)
        with serving(core) as web:
            yield web


@pytest.fixture
def web(migrated_sqlite: Path, tmp_path: Path, clock: MovedClock) -> Iterator[Web]:
    """A filled controller of one's own, on the test's clock."""
    with core_on(tmp_path / "data", migrated_sqlite, clock) as core:
        fill(core)
        with serving(core) as running:
            yield running
