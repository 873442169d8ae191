from homeostat_agent.decider.sensing.scan_rule import BUSY_CPUS_ABOVE_USUAL, PRESSURE_FLOORS, SCAN_EVERY, ScanRule


def test_the_first_and_every_sixth_sample_are_scanned_on_a_quiet_machine() -> None:
    rule = ScanRule(cpus=2)
    asked = [rule.wants_scan({"cpu.busy": 3.0}) for _ in range(2 * SCAN_EVERY + 1)]
    assert asked == [n % SCAN_EVERY == 0 for n in range(2 * SCAN_EVERY + 1)]


def test_one_cpu_more_in_use_is_looked_at_at_once_however_many_there_are() -> None:
    rule = ScanRule(cpus=64)
    rule.wants_scan({"cpu.busy": 10.0})
    step = 100 * BUSY_CPUS_ABOVE_USUAL / 64
    assert not rule.wants_scan({"cpu.busy": 10.0 + step * 0.9})
    assert rule.wants_scan({"cpu.busy": 10.2 + step})


def test_a_machine_that_is_always_busy_is_not_scanned_all_the_time() -> None:
    rule = ScanRule(cpus=2)
    asked = [rule.wants_scan({"cpu.busy": 95.0}) for _ in range(SCAN_EVERY * 4)]
    assert sum(asked) == 4


def test_every_pressure_has_its_floor() -> None:
    for name, floor in PRESSURE_FLOORS.items():
        rule = ScanRule(cpus=2)
        rule.wants_scan({})
        assert not rule.wants_scan({name: floor - 0.1})
        assert rule.wants_scan({name: floor})


def test_lasting_pressure_is_looked_at_once_and_new_pressure_again() -> None:
    rule = ScanRule(cpus=2)
    rule.wants_scan({})
    assert rule.wants_scan({"psi.io.full": 50.0})
    assert not rule.wants_scan({"psi.io.full": 60.0})
    assert rule.wants_scan({"psi.io.full": 60.0, "psi.memory.some": 6.0})
    assert not rule.wants_scan({})
    assert rule.wants_scan({"psi.io.full": 50.0})


def test_a_scan_out_of_turn_puts_the_next_one_off() -> None:
    rule = ScanRule(cpus=2)
    rule.wants_scan({"cpu.busy": 1.0})
    assert rule.wants_scan({"psi.io.full": 50.0})
    asked = [rule.wants_scan({}) for _ in range(SCAN_EVERY)]
    assert asked == [False] * (SCAN_EVERY - 1) + [True]
