from pathlib import Path

from homeostat_agent.decider.sensing.facts import boot_id, id_digest, linux_facts


def test_what_a_debian_machine_is(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text('NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n\nodd line\n')
    (tmp_path / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (tmp_path / "meminfo").write_text("MemTotal:       2048 kB\n")
    found = dict(linux_facts(tmp_path, tmp_path))
    assert (found["os"], found["os_version"], found["memory_bytes"]) == ("Debian GNU/Linux", "12", "2097152")
    assert {"hostname", "kernel", "architecture", "cpus"} <= set(found)
    assert len(found["machine_id_digest"]) == 32
    assert "0123456789abcdef" not in "".join(found.values())


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    found = dict(linux_facts(tmp_path, tmp_path))
    assert found["os"] == "Linux"
    assert not {"os_version", "machine_id_digest", "memory_bytes"} & set(found)
    assert boot_id(tmp_path) == ""


def test_digests_tell_machines_apart_and_are_stable() -> None:
    assert id_digest("a") == id_digest("a") != id_digest("b")
    assert id_digest("") == ""


def test_this_machine() -> None:
    assert boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert all(value for _, value in linux_facts())
