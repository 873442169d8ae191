"""Give back the memory of code that only the start needed.

Large libraries run most of their code once, while they set themselves up; its pages then stay resident for as long as
the process lives. One invariant: only mappings that are executable, not writable and backed by a file are touched, so
every page comes back from that file, unchanged, the next time it is needed. Nothing is lost but a minor fault.
"""

import ctypes
import sys
from collections.abc import Iterator

_MADV_DONTNEED = 4  # Linux, linux/mman.h
MAPPINGS_MAX = 4096  # lines of /proc/self/maps that are looked at


def give_back() -> int:
    """Give back the pages of all code that is mapped from files, and return in how many mappings.

    0 where the system has no such call. Call it once after the start, when everything is loaded.
    """
    if sys.platform != "linux":
        return 0
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:  # noqa: PTH123  # pathlib is not needed here
        found = list(code_mappings(maps.readlines()[:MAPPINGS_MAX]))
    return sum(advise(start, end - start, _MADV_DONTNEED) == 0 for start, end in found)


def code_mappings(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Yield start and end of each mapping of /proc/self/maps that holds nothing but a file's code."""
    for line in lines:
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[1] == "r-xp" and fields[4] != "0" and fields[5].startswith("/"):
            start, _, end = fields[0].partition("-")
            yield int(start, 16), int(end, 16)
