"""Memory and processor time of a unit from its control group, in whichever hierarchy this kernel has.

Invariant: memory is what the processes hold (anonymous and mapped pages), not the file cache that the kernel charges to
the group, which grows in every healthy service that reads files.
"""

from pathlib import Path

from homeostat_agent.decider.sensing.kept_file import KeptFile
from homeostat_agent.procfs import PROC, read_once

KEPT_MAX = 128


class Cgroups:
    """The files of control groups, kept open between samples."""

    def __init__(self, proc: Path = PROC) -> None:
        self._unified, self._split = _mounts(read_once(str(proc / "self/mountinfo")))
        self._files: dict[str, KeptFile] = {}

    def memory_bytes(self, group: str) -> int | None:
        """Return the bytes that the group's processes hold, or None where no controller counts them."""
        counted = _table(self._read(self._unified, group, "memory.stat"))
        if b"anon" in counted:
            return counted[b"anon"] + counted.get(b"file_mapped", 0)
        counted = _table(self._read(self._split.get("memory", ""), group, "memory.stat"))
        if b"total_rss" in counted:
            return counted[b"total_rss"] + counted.get(b"total_mapped_file", 0)
        return None

    def cpu_s(self, group: str) -> float | None:
        """Return the processor time that the group has used in seconds, or None where no controller counts it."""
        counted = _table(self._read(self._unified, group, "cpu.stat"))
        if b"usage_usec" in counted:
            return counted[b"usage_usec"] / 1e6
        raw = self._read(self._split.get("cpuacct", ""), group, "cpuacct.usage")
        return int(raw) / 1e9 if raw.strip().isdigit() else None

    def pids(self, group: str) -> tuple[int, ...]:
        """Return the processes in the group itself."""
        for root in (self._unified, self._split.get("name=systemd", "")):
            raw = read_once(f"{root}{group}/cgroup.procs") if root else b""
            if raw:
                return tuple(int(one) for one in raw.split() if one.isdigit())
        return ()

    def close(self) -> None:
        """Give all descriptors back."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _read(self, root: str, group: str, name: str) -> bytes:
        if not root or not group.startswith("/"):
            return b""
        path = f"{root}{group}/{name}"
        file = self._files.get(path)
        if file is None:
            if len(self._files) >= KEPT_MAX:
                self.close()
            file = self._files[path] = KeptFile(path)
        return file.read()


def _mounts(mountinfo: bytes) -> tuple[str, dict[str, str]]:
    """Return where the unified hierarchy is mounted, and each controller of the split ones."""
    unified, split = "", {}
    for line in mountinfo.decode("utf-8", "replace").splitlines():
        head, _, tail = line.partition(" - ")
        f, g = head.split(), tail.split()
        if len(f) < 5 or len(g) < 3:
            continue
        if g[0] == "cgroup2":
            unified = unified or f[4]
        elif g[0] == "cgroup":
            split.update(dict.fromkeys(g[2].split(","), f[4]))
    return unified, split


def _table(raw: bytes) -> dict[bytes, int]:
    rows = (line.split() for line in raw.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}
