"""The same small endpoint three times: in memory, on this Linux, and through the Windows host as far as Linux lets it.

It declares the service `web`, the program `burner` and the folder `cache` (a limit of 1 MiB, `*.tmp` may go).
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol

from fakes.actuator_clock import HandClock
from fakes.actuator_host import FakeFolder, FakeHost, FakeService, changed, file_facts
from fakes.actuator_rig import end_group, is_running, read_pid, until
from fakes.windows_control import FakeControl
from homeostat_agent.actuator.host.linux import LinuxHost
from homeostat_agent.actuator.host.port import CheckResult, Host
from homeostat_agent.actuator.host.windows import WindowsHost
from homeostat_agent.config import Actuator, AgentConfig, Folder, Probe, Program, Service

LIMIT_MIB = 1.0
BURNER = "#!/bin/sh\nwhile :; do :; done\n"


class World(Protocol):
    """What a test may do to an endpoint behind the host's back. `name` says which of the three it is."""

    @property
    def name(self) -> str: ...
    @property
    def host(self) -> Host: ...
    def crash(self) -> None: ...
    def hang(self) -> None: ...
    def break_check(self) -> None: ...
    def answer(self, *, well: bool) -> None: ...
    def spin(self, *, protected: bool = False) -> int: ...
    def runs(self, pid: int) -> bool: ...
    def write(self, path: str, kib: int, age_s: float) -> None: ...
    def rewrite(self, path: str) -> None: ...
    def has(self, path: str) -> bool: ...
    def close(self) -> None: ...


class FakeWorld:
    name = "fake"

    def __init__(self, _root: Path) -> None:
        self.clock = HandClock()
        self.service = FakeService(check=CheckResult(passed=True), answers=False)
        self.folder = FakeFolder(1 << 20, ("*.tmp",))
        self.host = FakeHost(self.clock, {"web": self.service}, {"burner": {}}, {"cache": self.folder})

    def crash(self) -> None:
        self.service.pid = self.service.started = 0

    def hang(self) -> None:
        self.service.stopped = True

    def break_check(self) -> None:
        self.service.check = CheckResult(passed=False, said="line 1: it is broken")

    def answer(self, *, well: bool) -> None:
        self.service.answers = well

    def spin(self, *, protected: bool = False) -> int:
        return self.host.spin("burner", 100.0, "it belongs to the agent" if protected else "").pid

    def runs(self, pid: int) -> bool:
        return pid in self.host.programs["burner"]

    def write(self, path: str, kib: int, age_s: float) -> None:
        modified_ns = int((self.clock.now().timestamp() - age_s) * 1e9)
        self.folder.files[path] = file_facts(path, kib, modified_ns)

    def rewrite(self, path: str) -> None:
        self.folder.files[path] = changed(self.folder.files[path], 1)

    def has(self, path: str) -> bool:
        return path in self.folder.files

    def close(self) -> None:
        """Nothing is there."""


class SystemClock:
    """The real clocks, for hosts that are real."""

    def now(self) -> datetime:
        return datetime.now().astimezone()

    def elapsed(self) -> float:
        return time.monotonic()

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)


class LinuxWorld:
    name = "linux"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root / "cache"
        self.cache.mkdir()
        (root / "valid").touch()
        self.burner = root / "burner"
        self.burner.write_text(BURNER)
        self.burner.chmod(0o700)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.listener.close()
        self.burning: list[subprocess.Popen[bytes]] = []
        self.protected: list[int] = []
        self.host: Host = self.make_host(SystemClock())

    def make_host(self, clock: SystemClock) -> Host:
        return LinuxHost(self.config(), clock, lambda: self.protected)

    def config(self) -> AgentConfig:
        web = Service(
            "web",
            command=("/bin/sleep", "100002"),
            pid_file=str(self.root / "web.pid"),
            check=("/bin/sh", "-c", f"test -e {self.root}/valid || {{ echo 'line 1: it is broken'; exit 1; }}"),
            probe=Probe(tcp=f"127.0.0.1:{self.port}"),
        )
        (self.root / "actuator").mkdir(exist_ok=True)
        return AgentConfig(
            actuator=Actuator(data_dir=str(self.root / "actuator")),
            service=(web,),
            folder=(Folder("cache", str(self.cache), ("*.tmp",), LIMIT_MIB),),
            program=(Program("burner", str(self.burner)),),
        )

    def crash(self) -> None:
        pid = read_pid(self.root / "web.pid")
        os.kill(pid, signal.SIGKILL)
        until("the crash", lambda: not is_running(pid))

    def hang(self) -> None:
        pid = read_pid(self.root / "web.pid")
        os.kill(pid, signal.SIGSTOP)
        until("the stop", lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")

    def break_check(self) -> None:
        (self.root / "valid").unlink()

    def answer(self, *, well: bool) -> None:
        self.listener.close()
        if well:
            self.listener = socket.create_server(("127.0.0.1", self.port))

    def spin(self, *, protected: bool = False) -> int:
        self.burning.append(subprocess.Popen((str(self.burner),), stdin=subprocess.DEVNULL))
        pid = self.burning[-1].pid
        if protected:
            self.protected.append(pid)
        return pid

    def runs(self, pid: int) -> bool:
        return is_running(pid)

    def write(self, path: str, kib: int, age_s: float) -> None:
        file = self.cache / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(kib << 10))
        then = time.time() - age_s
        os.utime(file, (then, then))

    def rewrite(self, path: str) -> None:
        (self.cache / path).write_bytes(b"new")

    def has(self, path: str) -> bool:
        return (self.cache / path).exists()

    def close(self) -> None:
        self.listener.close()
        for process in self.burning:
            process.kill()
            process.wait()
        end_group(self.root / "web.pid")
        pid = read_pid(self.root / "web.pid")
        if pid:
            until("the end of the service", lambda: not is_running(pid))
        self.host.tidy()


class WindowsWorld(LinuxWorld):
    """Programs and folders are real; the service control manager is not there, so that one is made up."""

    name = "windows"

    def make_host(self, clock: SystemClock) -> Host:
        self.control = FakeControl({"Web": 0})
        return WindowsHost(self.config(), clock, lambda: self.protected, self.control)

    def config(self) -> AgentConfig:
        made = super().config()
        # psutil names the interpreter, as it would on Windows too: the script is told by its argument.
        shell = os.path.realpath("/bin/sh")
        web = Service("web", unit="Web", check=made.service[0].check, probe=made.service[0].probe)
        burner = Program("burner", shell, (str(self.burner),))
        return AgentConfig(actuator=made.actuator, service=(web,), folder=made.folder, program=(burner,))

    def crash(self) -> None:
        self.control.end("Web")

    def close(self) -> None:
        self.control.close()
        with suppress(OSError):
            super().close()


WORLDS: tuple[Callable[[Path], World], ...] = (FakeWorld, LinuxWorld, WindowsWorld)
