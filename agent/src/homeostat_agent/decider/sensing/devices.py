"""Traffic of disks and network cards, each counted once.

Invariant: only whole physical devices are summed where there are any; partitions, mirrors, bridges and tunnels would
count the same bytes again.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from homeostat_agent.decider.sensing.growth import Growth
from homeostat_agent.decider.sensing.kept_file import KeptFile
from homeostat_agent.decider.sensing.metrics import Values
from homeostat_agent.procfs import PROC

SECTOR_BYTES = 512  # the unit of /proc/diskstats whatever the device's own sector is
SYS = Path("/sys")
_STACKED = re.compile(r"(loop|ram|zram|dm-|md|sr|fd|nbd)\d+")


class Devices:
    """Disk and network rates since the previous reading."""

    def __init__(self, proc: Path = PROC, sys: Path = SYS) -> None:
        self._sys = sys
        self._disks = KeptFile(proc / "diskstats")
        self._cards = KeptFile(proc / "net/dev")
        self._growth = Growth()
        self._chosen: dict[str, tuple[frozenset[str], frozenset[str]]] = {}

    def read(self, elapsed_s: float) -> Values:
        """Return disk.* and network.* for the time since the previous reading, which was `elapsed_s` long."""
        disks, cards = _disk_counters(self._disks.read()), _card_counters(self._cards.read())
        disks = self._only("disk", disks)
        cards = self._only("network", cards)
        self._growth.keep_only(disks.keys() | cards.keys())
        return {**self._disk_rates(disks, elapsed_s), **self._card_rates(cards, elapsed_s)}

    def close(self) -> None:
        """Give all descriptors back."""
        self._disks.close()
        self._cards.close()

    def _disk_rates(self, disks: dict[str, tuple[int, ...]], elapsed_s: float) -> Values:
        grown = self._grown(disks, elapsed_s)
        if not grown:
            return {}
        return {
            "disk.read": sum(one[0] for one in grown) * SECTOR_BYTES / elapsed_s,
            "disk.write": sum(one[1] for one in grown) * SECTOR_BYTES / elapsed_s,
            "disk.busy": min(max(one[2] for one in grown) / (elapsed_s * 10), 100.0),
        }

    def _card_rates(self, cards: dict[str, tuple[int, ...]], elapsed_s: float) -> Values:
        grown = self._grown(cards, elapsed_s)
        if not grown:
            return {}
        names = ("network.received", "network.sent", "network.errors")
        return {name: sum(one[i] for one in grown) / elapsed_s for i, name in enumerate(names)}

    def _grown(self, devices: dict[str, tuple[int, ...]], elapsed_s: float) -> list[tuple[int, ...]]:
        """Return each device's growth; nothing at all where one device's counters cannot be compared."""
        grown = [self._growth.of(name, counters) for name, counters in devices.items()]
        known = [one for one in grown if one is not None]
        return known if elapsed_s > 0 and len(known) == len(grown) else []

    def _only(self, kind: str, devices: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        """Leave out what would be counted twice; the choice is made again whenever the set of devices changes."""
        names = frozenset(devices)
        seen, chosen = self._chosen.get(kind, (frozenset(), frozenset()))
        if names != seen:
            choose = whole_disks if kind == "disk" else physical_cards
            chosen = frozenset(choose(names, self._sys))
            self._chosen[kind] = (names, chosen)
        return {f"{kind}:{name}": counters for name, counters in devices.items() if name in chosen}


def whole_disks(names: Iterable[str], sys: Path = SYS) -> list[str]:
    """Return the devices that are no partition and stand on no other device."""
    whole = [name for name in names if not _STACKED.fullmatch(name)]
    return [name for name in whole if (sys / "block" / name.replace("/", "!")).is_dir()]


def physical_cards(names: Iterable[str], sys: Path = SYS) -> list[str]:
    """Return the network cards that are hardware; where none is (a container), all but the loopback."""
    outside = [name for name in names if name != "lo"]
    return [name for name in outside if (sys / "class/net" / name / "device").exists()] or outside


def _disk_counters(raw: bytes) -> dict[str, tuple[int, ...]]:
    """Return sectors read, sectors written and busy milliseconds of each block device that was ever used."""
    found: dict[str, tuple[int, ...]] = {}
    for line in raw.splitlines():
        f = line.split()
        if len(f) >= 13 and f[3] + f[7] != b"00":
            found[f[2].decode("utf-8", "replace")] = (int(f[5]), int(f[9]), int(f[12]))
    return found


def _card_counters(raw: bytes) -> dict[str, tuple[int, ...]]:
    """Return bytes received, bytes sent and errors with drops of both directions of each network card."""
    found: dict[str, tuple[int, ...]] = {}
    for line in raw.splitlines()[2:]:
        name, _, rest = line.partition(b":")
        f = rest.split()
        if len(f) >= 12:
            errors = int(f[2]) + int(f[3]) + int(f[10]) + int(f[11])
            found[name.strip().decode("utf-8", "replace")] = (int(f[0]), int(f[8]), errors)
    return found
