from pathlib import Path

import pytest

from homeostat_agent.decider.sensing import filesystems
from homeostat_agent.decider.sensing.filesystems import (
    FileSystems,
    Fullest,
    device_kinds,
    real_mounts,
    usage_percent,
)

KINDS = frozenset({b"ext4", b"xfs", b"squashfs", b"zfs", b"bcachefs"})


def mount(point: str, kind: str, *, device: str = "8:1", options: str = "rw", source: str = "/dev/sda1") -> bytes:
    return f"20 1 {device} / {point} {options},relatime shared:1 - {kind} {source} {options},errors=x\n".encode()


def test_real_file_systems_and_each_device_once() -> None:
    table = (
        mount("/", "ext4")
        + mount("/proc", "proc", device="0:5")
        + mount("/run", "tmpfs", device="0:6")
        + mount("/srv/bind", "ext4")
        + mount("/home", "xfs", device="8:2")
        + mount("/tank", "zfs", device="0:40")
    )
    assert real_mounts(table, KINDS) == ("/", "/home", "/tank")


def test_network_shares_and_read_only_images_are_left_alone() -> None:
    table = (
        mount("/mnt/share", "nfs4", device="0:50")
        + mount("/snap/core", "squashfs", device="7:0", options="ro")
        + mount("/media/cd", "ext4", device="8:9", options="ro")
    )
    assert real_mounts(table, KINDS) == ()


def test_a_containers_root_counts_whatever_it_is_made_of() -> None:
    assert real_mounts(mount("/", "overlay", device="0:60"), KINDS) == ("/",)
    assert real_mounts(mount("/var/lib/docker/x", "overlay", device="0:60"), KINDS) == ()


def test_a_mount_point_with_a_space() -> None:
    assert real_mounts(mount(r"/mnt/my\040disk", "ext4"), KINDS) == ("/mnt/my disk",)


def test_the_number_of_mounts_is_bounded() -> None:
    most = filesystems.MOUNTS_MAX
    table = b"".join(mount(f"/m{n}", "ext4", device=f"8:{n}") for n in range(most + 5))
    assert len(real_mounts(table, KINDS)) == most


def test_rubbish_in_the_table_is_passed_over() -> None:
    assert real_mounts(b"\nx\n1 2 3 - a b\n" + mount("/", "ext4"), KINDS) == ("/",)


def test_kinds_on_devices() -> None:
    assert device_kinds(b"nodev\tsysfs\n\text4\nnodev\ttmpfs\n\txfs\n") == {b"ext4", b"xfs", b"zfs", b"bcachefs"}


def test_use_of_a_real_file_system(tmp_path: Path) -> None:
    use = usage_percent(str(tmp_path))
    assert use is not None
    assert 0 < use[0] < 100


@pytest.mark.parametrize("path", ["/proc", "/none/such"])
def test_what_has_no_size_has_no_use(path: str) -> None:
    assert usage_percent(path) is None


def test_the_fullest_is_named_and_mounts_are_looked_up_again_when_they_change(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "filesystems").write_text("\text4\n")
    (tmp_path / "self/mountinfo").write_bytes(b"")
    there = FileSystems(tmp_path)
    assert there.fullest() == Fullest(None, None)
    (tmp_path / "self/mountinfo").write_bytes(mount("/none/such", "ext4", device="9:9") + mount("/", "ext4"))
    found = there.fullest()
    there.close()
    assert found.disk is not None
    assert found.disk[1] == "/"


def test_without_a_table_nothing_is_found(tmp_path: Path) -> None:
    assert FileSystems(tmp_path).fullest() == Fullest(None, None)
