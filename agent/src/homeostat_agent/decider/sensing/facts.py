"""What the machine is, for enrolment and inventory.

Invariant: nothing here identifies the machine to a third party; its machine id leaves it as a digest only.
"""

import hashlib
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from homeostat_agent.procfs import PROC

ETC = Path("/etc")
# Keeps our digest apart from everyone else's digest of the same id.
_PURPOSE = b"homeostat machine id\0"


def linux_facts(proc: Path = PROC, etc: Path = ETC) -> Sequence[tuple[str, str]]:
    """Return names and values; what cannot be read is left out."""
    release = _release(etc)
    found = (
        ("hostname", platform.node()),
        ("os", release.get("NAME", "Linux")),
        ("os_version", release.get("VERSION_ID", "")),
        ("kernel", platform.release()),
        ("architecture", platform.machine()),
        ("machine_id_digest", id_digest(_text(etc / "machine-id"))),
        ("cpus", str(os.cpu_count() or "")),
        ("memory_bytes", _memory_bytes(proc)),
    )
    return tuple((name, value) for name, value in found if value)


def boot_id(proc: Path = PROC) -> str:
    """Return what changes with every boot, or "" where the kernel does not tell."""
    return _text(proc / "sys/kernel/random/boot_id")


def id_digest(machine_id: str) -> str:
    """Return a digest that tells two machines apart and gives neither id away; "" for an empty id."""
    return hashlib.sha256(_PURPOSE + machine_id.encode()).hexdigest()[:32] if machine_id else ""


def _release(etc: Path) -> dict[str, str]:
    rows = (line.partition("=") for line in _text(etc / "os-release").splitlines())
    return {name: value.strip("\"'") for name, _, value in rows}


def _memory_bytes(proc: Path) -> str:
    for line in _text(proc / "meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return str(int(line.split()[1]) * 1024)
    return ""


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
