import subprocess
import sys

PROGRAM = """
import logging
from homeostat_agent import logs
logs.set_up({level!r})
logging.getLogger("x").debug("event=fine")
logging.getLogger("x").info("event=seen name=%s", "a\\nlevel=error from=x event=forged")
try:
    raise ValueError("torn\\nline")
except ValueError:
    logging.getLogger("x").exception("event=failed")
"""


def lines(level: str) -> list[str]:
    argv = [sys.executable, "-c", PROGRAM.format(level=level)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stderr.splitlines()


def test_each_record_is_one_line_whatever_it_holds() -> None:
    found = lines("info")
    assert len(found) == 2
    assert "level=info from=x event=seen" in found[0]
    assert "\\nlevel=error" in found[0]
    assert "ValueError: torn" in found[1]


def test_the_level_is_as_set() -> None:
    assert len(lines("debug")) == 3
    assert len(lines("error")) == 1


def test_a_level_that_is_none_is_info() -> None:
    assert len(lines("loud")) == 2
