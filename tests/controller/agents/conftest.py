"""A listening controller for the tests of what agents do."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures_running import Running, build


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Running]:
    running = Running(build(tmp_path / "data"))
    yield running
    running.stop()
