from pathlib import Path

from homeostat_controller.demo import faults, layout, script


def test_every_fault_but_two_is_healed_alone() -> None:
    assert set(faults.FAULTS) - set(script.HEALED) == {"config", "leak"}


def test_the_closing_names_the_link_and_every_fault(tmp_path: Path) -> None:
    text = script.closing(layout.make(tmp_path / "demo"), "http://127.0.0.1:8440/#welcome=x")
    assert "http://127.0.0.1:8440/#welcome=x" in text
    assert all(name in text for name in faults.FAULTS)
    assert "./demo stop" in text
