"""Code is given back, nothing else is, and what was given back still runs."""

import subprocess
import sys

import pytest

from homeostat_agent.code_pages import MAPPINGS_MAX, code_mappings, give_back

LINES = """\
55d0c0000000-55d0c0001000 r--p 00000000 fe:00 42       /usr/bin/python3.11
55d0c0001000-55d0c0003000 r-xp 00001000 fe:00 42       /usr/bin/python3.11
55d0c0003000-55d0c0004000 rw-p 00003000 fe:00 42       /usr/bin/python3.11
7f0000000000-7f0000002000 r-xp 00000000 fe:00 43       /opt/a folder/lib name.so (deleted)
7f0000004000-7f0000006000 rwxp 00000000 fe:00 43       /opt/written.so
7f0000006000-7f0000008000 r-xs 00000000 fe:00 43       /opt/shared.so
7f0000010000-7f0000011000 r-xp 00000000 00:00 0
7f0000012000-7f0000013000 r-xp 00000000 00:00 0        [vdso]
odd
"""

PROGRAM = """
import re
from homeostat_agent.code_pages import give_back
from homeostat_agent.decider.onnx_library import SELF_TEST_MODEL, OnnxLibrary, OnnxSession

def resident():
    return int(re.search(r"RssFile:\\s+(\\d+)", open("/proc/self/status").read())[1])

library = OnnxLibrary()
session = OnnxSession(library, SELF_TEST_MODEL, {"single": 3}, {"double": 3})
before = resident()
given = give_back()
after = resident()
session.fill("single", (1.0, 2.0, 3.0))
session.run()
print(given > 3, before > after, session.outputs["double"][:])
"""


def test_only_code_that_lies_in_a_file_is_meant() -> None:
    assert list(code_mappings(LINES.splitlines())) == [
        (0x55D0C0001000, 0x55D0C0003000),
        (0x7F0000000000, 0x7F0000002000),
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="needs madvise")
def test_memory_is_given_back_and_the_library_still_runs() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("True True [2.0, 4.0, 6.0]", "")


@pytest.mark.skipif(sys.platform != "linux", reason="needs madvise")
def test_it_may_be_called_again() -> None:
    assert 0 < give_back() <= MAPPINGS_MAX
    assert give_back() > 0
