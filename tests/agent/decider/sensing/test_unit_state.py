import subprocess
import sys

from homeostat_agent.decider.sensing.unit_state import BusError, BusRefusedError, UnitState


def test_a_refusal_is_a_failure_of_the_bus_too() -> None:
    assert issubclass(BusRefusedError, BusError)


def test_a_unit_without_a_process_has_number_0() -> None:
    assert UnitState("a.service", "/a", "loaded", "inactive", "dead").main_pid == 0


def test_an_endpoint_without_units_never_loads_d_bus() -> None:
    code = "import sys, homeostat_agent.decider.sensing.linux; sys.exit('jeepney' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
