"""A service control manager that is not Windows': each service is a real process of this machine."""

import subprocess

from homeostat_agent.actuator.host.windows_services import ControlError, ServiceState

STOPPED, START_PENDING, RUNNING = 1, 2, 4


class FakeControl:
    """`slow` gives, for each service, how often its state is asked for before it has started or stopped."""

    def __init__(self, slow: dict[str, int]) -> None:
        self._slow = slow
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._pending: dict[str, int] = {}
        self.asked: list[str] = []

    def state(self, name: str) -> ServiceState:
        if name not in self._slow:
            raise ControlError(f"{name}: the specified service does not exist")
        if self._pending.get(name, 0) > 0:
            self._pending[name] -= 1
            return ServiceState(START_PENDING, 0)
        process = self._processes.get(name)
        return ServiceState(RUNNING, process.pid) if process is not None else ServiceState(STOPPED, 0)

    def start(self, name: str) -> None:
        self.asked.append(f"start {name}")
        self._pending[name] = self._slow[name]
        self._processes[name] = subprocess.Popen(("/bin/sleep", "100003"), stdin=subprocess.DEVNULL)

    def stop(self, name: str) -> None:
        self.asked.append(f"stop {name}")
        self._pending[name] = self._slow[name]
        self.end(name)

    def end(self, name: str) -> None:
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def close(self) -> None:
        for name in list(self._processes):
            self.end(name)
