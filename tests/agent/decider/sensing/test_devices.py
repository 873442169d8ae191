import time
from pathlib import Path

import pytest

from homeostat_agent.decider.sensing.devices import Devices, physical_cards, whole_disks

HEAD = "Inter-|   Receive  |  Transmit\n face |bytes    packets errs\n"


def disk(name: str, read: int, written: int, busy_ms: int) -> str:
    return f"   8  0 {name} 10 0 {read} 5 20 0 {written} 5 0 {busy_ms} 9\n"


def card(name: str, received: int, sent: int, errors: int = 0) -> str:
    return f"{name:>6}: {received} 1 {errors} 1 0 0 0 0 {sent} 1 0 0 0 0 0 0\n"


def tree(root: Path, disks: str, cards: str) -> Devices:
    (root / "proc/net").mkdir(parents=True, exist_ok=True)
    (root / "proc/diskstats").write_text(disks)
    (root / "proc/net/dev").write_text(HEAD + cards)
    for name in ("sda", "sdb", "loop0", "dm-0", "cciss!c0d0"):
        (root / "sys/block" / name).mkdir(parents=True, exist_ok=True)
    (root / "sys/class/net/eth0/device").mkdir(parents=True, exist_ok=True)
    return Devices(root / "proc", root / "sys")


def test_whole_devices_are_summed_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    other = disk("sda1", 1, 1, 1) + disk("loop0", 1, 1, 1) + disk("dm-0", 1, 1, 1)
    devices = tree(
        tmp_path,
        disk("sda", 100, 200, 1000) + disk("sdb", 0, 0, 0) + other,
        card("lo", 1, 1) + card("eth0", 1000, 500, 1) + card("docker0", 7, 7),
    )
    assert devices.read(0.0) == {}
    tree(
        tmp_path,
        disk("sda", 120, 260, 3000) + disk("sdb", 10, 0, 500) + other.replace(" 1 ", " 999999 "),
        card("lo", 9999, 9999) + card("eth0", 2000, 1500, 6) + card("docker0", 99_999, 99_999),
    )
    assert devices.read(5.0) == pytest.approx(
        {
            "disk.read": 30 * 512 / 5,
            "disk.write": 60 * 512 / 5,
            "disk.busy": 40.0,
            "network.received": 200.0,
            "network.sent": 200.0,
            "network.errors": 1.0,
        }
    )
    devices.close()


def test_a_counter_that_wrapped_leaves_the_kind_out_for_one_period(tmp_path: Path) -> None:
    devices = tree(tmp_path, disk("sda", 100, 100, 4_294_967_000), card("eth0", 5, 5))
    devices.read(0.0)
    tree(tmp_path, disk("sda", 110, 110, 500), card("eth0", 10, 10))
    assert set(devices.read(5.0)) == {"network.received", "network.sent", "network.errors"}
    tree(tmp_path, disk("sda", 120, 120, 600), card("eth0", 1, 1))
    assert set(devices.read(5.0)) == {"disk.read", "disk.write", "disk.busy"}


def test_a_device_that_was_plugged_in_counts_from_the_next_period_on(tmp_path: Path) -> None:
    devices = tree(tmp_path, disk("sda", 100, 100, 100), "")
    devices.read(0.0)
    tree(tmp_path, disk("sda", 110, 110, 110) + disk("sdb", 5000, 5000, 5000), "")
    assert devices.read(5.0) == {}
    tree(tmp_path, disk("sda", 120, 110, 110) + disk("sdb", 5010, 5000, 5000), "")
    assert devices.read(5.0)["disk.read"] == 20 * 512 / 5


def test_a_device_that_was_taken_out_is_no_growth_when_it_comes_back(tmp_path: Path) -> None:
    devices = tree(tmp_path, disk("sda", 1, 1, 1) + disk("sdb", 100, 1, 1), "")
    devices.read(0.0)
    tree(tmp_path, disk("sda", 2, 1, 1), "")
    assert devices.read(1.0)["disk.read"] == 512
    tree(tmp_path, disk("sda", 2, 1, 1) + disk("sdb", 100_000, 1, 1), "")
    assert devices.read(1.0) == {}


def test_the_busiest_disk_counts_and_never_more_than_all_of_the_time(tmp_path: Path) -> None:
    devices = tree(tmp_path, disk("sda", 1, 1, 0) + disk("sdb", 1, 1, 0), "")
    devices.read(0.0)
    tree(tmp_path, disk("sda", 1, 1, 5100) + disk("sdb", 1, 1, 50), "")
    assert devices.read(5.0)["disk.busy"] == 100.0


def test_a_container_without_hardware_counts_all_cards_but_the_loopback(tmp_path: Path) -> None:
    assert physical_cards(["lo", "host0", "eth0"], tmp_path) == ["host0", "eth0"]
    (tmp_path / "class/net/eth0/device").mkdir(parents=True)
    assert physical_cards(["lo", "host0", "eth0"], tmp_path) == ["eth0"]


def test_partitions_and_stacked_devices_are_no_whole_disks(tmp_path: Path) -> None:
    for name in ("sda", "md0", "sr0", "cciss!c0d0"):
        (tmp_path / "block" / name).mkdir(parents=True)
    assert whole_disks(["sda", "sda1", "md0", "sr0", "cciss/c0d0"], tmp_path) == ["sda", "cciss/c0d0"]


def test_rubbish_and_missing_files_give_nothing(tmp_path: Path) -> None:
    assert Devices(tmp_path, tmp_path).read(5.0) == {}
    devices = tree(tmp_path, "8 0 sda 1\n\n", "eth0: 1 2\n:\n")
    devices.read(0.0)
    assert devices.read(5.0) == {}


def test_this_machine() -> None:
    devices = Devices()
    devices.read(0.0)
    began = time.monotonic()
    Path("/proc/self/stat").read_bytes()
    values = devices.read(max(time.monotonic() - began, 0.001))
    devices.close()
    assert all(value >= 0 for value in values.values())
