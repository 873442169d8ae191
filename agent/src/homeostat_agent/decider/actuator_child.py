"""The actuator as the decider's child: started when it is not there, started again when it dies, with pauses that grow.

A decider that was killed leaves its actuator running, and the next decider finds it at the socket; only the actuator's
own lock decides whether a second one may run. One thread owns it.
"""

import logging
import subprocess
import sys
import time
from pathlib import Path

PAUSE_S_FIRST = 0.1
PAUSE_S_MAX = 30.0
# One that ran for so long was well; its end is not taken for a failed start.
WELL_S = 10.0
STOP_S_MAX = 5.0

log = logging.getLogger(__name__)


class ActuatorChild:
    """Starts `homeostat-agent actuate` on a configuration file."""

    def __init__(self, config_path: Path) -> None:
        self._argv = [sys.executable, "-I", "-m", "homeostat_agent", "actuate", "--config", str(config_path)]
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._pause_s = 0.0

    def start_if_needed(self) -> None:
        """Start one unless it runs or its pause is not over. Raises OSError when none can be started."""
        now = time.monotonic()
        if self._is_running(now) or now < self._started_at + self._pause_s:
            return
        self._started_at = now
        self._pause_s = min(max(self._pause_s * 2, PAUSE_S_FIRST), PAUSE_S_MAX)
        # A session of its own: Ctrl-C at a terminal reaches the decider, which ends it in order.
        self._process = subprocess.Popen(self._argv, stdin=subprocess.DEVNULL, start_new_session=True)
        log.info("event=actuator-started pid=%d", self._process.pid)

    def reap(self) -> None:
        """Take away the one that has ended, and say so."""
        self._is_running(time.monotonic())

    def stop(self) -> None:
        """End the one this decider started, and wait for it; a run that goes on there is resumed by the next."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _is_running(self, now: float) -> bool:
        if self._process is None:
            return False
        code = self._process.poll()
        if code is None:
            return True
        log.warning("event=actuator-ended pid=%d code=%d", self._process.pid, code)
        self._process = None
        if now - self._started_at >= WELL_S:
            self._pause_s = 0.0
        return False
