"""Logs are one JSON object a line where no terminal reads them, ours and libraries' alike."""

import json
import subprocess
import sys

PROGRAM = """
import logging, sys
import structlog
from homeostat_controller import config, logs
logs.configure(config.Settings(log_format=sys.argv[1], log_level="info"))
structlog.get_logger().info("ready", link=8442)
structlog.get_logger().debug("not shown")
logging.getLogger("library").warning("from %s", "elsewhere")
logging.getLogger("uvicorn.access").info("not shown")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger().exception("failed")
"""


def lines(log_format: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, log_format], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_json_lines_carry_fields() -> None:
    ready, library, failed = (json.loads(line) for line in lines("json"))
    assert (ready["event"], ready["level"], ready["link"]) == ("ready", "info", 8442)
    assert (library["event"], library["level"]) == ("from elsewhere", "warning")
    assert "ZeroDivisionError" in failed["exception"]
    assert ready["timestamp"].endswith("Z")


def test_without_a_terminal_auto_is_json() -> None:
    assert json.loads(lines("auto")[0])["event"] == "ready"


def test_the_console_s_form_is_text() -> None:
    assert "ready" in lines("console")[0]
    assert "link=8442" in lines("console")[0]
