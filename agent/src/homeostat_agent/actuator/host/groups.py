"""Declared process groups: started in a session of their own, ended whole, and found again by whoever comes next.

No signal goes to a pid: it goes through a pidfd that was checked against the start time after it was opened, so that a
reused number is never hit. What was started here carries its pid file's path in its environment; by that it is known
even if this process was killed before it could write the file.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator

from homeostat_agent.actuator.host import handles, process_table
from homeostat_agent.actuator.host.commands import clean_environment
from homeostat_agent.actuator.host.port import StepResult
from homeostat_agent.config import Service
from homeostat_agent.pid_files import PidFiles, read_pid_file, write_pid_file
from homeostat_agent.procfs import ProcessStat

# A service's time to end after SIGTERM.
GRACE_S = 5.0
MARK = "HOMEOSTAT_PID_FILE"
# A group that still has new members after so many walks through all processes forks faster than it can be ended.
_ROUNDS_MAX = 10
_LOOK_S_FIRST = 0.002
_LOOK_S_MAX = 0.05

SendToGroup = Callable[[int, signal.Signals], bool]


class Groups:
    """The process groups of this endpoint; keeps those it started as children, to take them away when they end."""

    def __init__(self, send_to_group: SendToGroup = handles.send_to_group) -> None:
        self._send_to_group = send_to_group
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._files = PidFiles()

    def find(self, service: Service) -> ProcessStat | None:
        """Return a service's leading process, or None when it is down. Raises OSError for an unreadable pid file."""
        return self._files.leader(service.pid_file)

    def start(self, service: Service, within_s: float) -> StepResult:
        """Start a service that is down, after ending what is left of its group."""
        found = self.find(service)
        if found is not None:
            return StepResult(ok=True, detail=f"already runs as process {found.pid}")
        left = self._end_leftovers(service, time.monotonic() + within_s)
        return self._spawn(service) if left.ok else left

    def stop(self, service: Service, within_s: float) -> StepResult:
        """End a service's whole group: SIGTERM, and after GRACE_S seconds SIGKILL."""
        deadline = time.monotonic() + within_s
        found = self.find(service)
        if found is None:
            return self._end_leftovers(service, deadline)
        if found.pid in process_table.ancestors(os.getpid()):
            return StepResult(ok=False, detail=f"{service.pid_file} names process {found.pid}, which is our own")
        with handles.handle(found.pid, found.started) as handle:
            if handle is None:
                return StepResult(ok=True, detail="ended by itself")
            return self._end(handle, found, deadline)

    def restart(self, service: Service, within_s: float) -> StepResult:
        """End a service's group and start it anew."""
        deadline = time.monotonic() + within_s
        stopped = self.stop(service, within_s)
        if not stopped.ok:
            return stopped
        started = self.start(service, deadline - time.monotonic())
        return StepResult(started.ok, f"{stopped.detail}; {started.detail}")

    def adopt(self, services: Iterable[Service]) -> None:
        """Write the pid files of services that run without one, because this process was cut off after their start."""
        lost = {service.pid_file for service in services if self._is_lost(service)}
        if not lost:
            return
        for found in sorted(process_table.processes(), key=lambda one: one.started):
            if found.pid == found.session and process_table.owner(found.pid) == os.geteuid():
                for path in lost:
                    if _is_marked(found.pid, path):
                        write_pid_file(path, found.pid, found.started)

    def reap(self) -> None:
        """Take away ended children, so that their numbers become free."""
        for pid, child in list(self._children.items()):
            if child.poll() is not None:
                del self._children[pid]

    def _is_lost(self, service: Service) -> bool:
        try:
            return self.find(service) is None
        except OSError:
            return False

    def _spawn(self, service: Service) -> StepResult:
        try:
            child = _popen(service)
        except OSError as error:
            return StepResult(ok=False, detail=f"{error.filename or service.command[0]}: {error.strerror}")
        self._children[child.pid] = child
        found = process_table.process(child.pid)
        if found is None:
            self.reap()
            return StepResult(ok=False, detail=f"process {child.pid} ended at once with {child.returncode}")
        try:
            write_pid_file(service.pid_file, found.pid, found.started)
        except OSError as error:
            # Nobody would find it again.
            self._end_child(found)
            return StepResult(ok=False, detail=f"{service.pid_file}: {error.strerror}")
        return StepResult(ok=True, detail=f"started as process {child.pid}")

    def _end_child(self, found: ProcessStat) -> None:
        with handles.handle(found.pid, found.started) as handle:
            if handle is not None:
                self._end(handle, found, time.monotonic() + GRACE_S)

    def _end(self, handle: int, found: ProcessStat, deadline: float) -> StepResult:
        whole = found.group == found.pid

        def send(number: signal.Signals) -> None:
            if not whole:
                handles.send(handle, number)
            elif not self._send_to_group(handle, number):  # before Linux 6.9
                _to_members(found.pid, number, "")

        def ended(until: float) -> bool:
            return handles.ends(handle, until) and (not whole or self._is_empty(found.pid, "", until))

        try:
            by = handles.escalate(send, ended, GRACE_S, deadline)
        except PermissionError:
            return StepResult(ok=False, detail=f"process {found.pid} is not ours to end")
        said = f"ended process {found.pid} with {by.name}" if by else f"process {found.pid} did not end"
        return StepResult(by is not None, said)

    def _end_leftovers(self, service: Service, deadline: float) -> StepResult:
        """End what is left of a group whose leader has ended, told from others' by its mark."""
        leader, mark = read_pid_file(service.pid_file), service.pid_file
        if leader is None or not _may_have_members(leader.pid) or not any(_members(leader.pid, mark)):
            return StepResult(ok=True, detail="did not run")
        group = leader.pid
        by = handles.escalate(
            lambda number: _to_members(group, number, mark),
            lambda until: self._is_empty(group, mark, until),
            GRACE_S,
            deadline,
        )
        said = "ended what was left of it" if by else f"what was left of it, process group {group}, did not end"
        return StepResult(by is not None, said)

    def _is_empty(self, group: int, mark: str, deadline: float) -> bool:
        """Wait until a group has no member (with `mark`) any more, and say whether that came in time."""
        wait_s = _LOOK_S_FIRST
        while True:
            self.reap()
            if not _may_have_members(group) or not any(_members(group, mark)):
                return True
            if time.monotonic() + wait_s > deadline:
                return False
            time.sleep(wait_s)
            wait_s = min(_LOOK_S_MAX, wait_s * 1.5)


def _popen(service: Service) -> "subprocess.Popen[bytes]":
    log = -1
    if service.log_file:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        log = os.open(service.log_file, flags, 0o640)
    try:
        return subprocess.Popen(
            service.command,
            cwd=service.working_dir or "/",
            env=clean_environment(**{MARK: service.pid_file}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if log < 0 else log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    finally:
        if log >= 0:
            os.close(log)


def _to_members(group: int, number: signal.Signals, mark: str) -> None:
    """Signal each member of a group (with `mark`), and those that were forked while that was done."""
    told: set[tuple[int, int]] = set()
    for _ in range(_ROUNDS_MAX):
        new = [one for one in _members(group, mark) if (one.pid, one.started) not in told]
        if not new:
            return
        for member in new:
            told.add((member.pid, member.started))
            with handles.handle(member.pid, member.started) as handle:
                if handle is not None:
                    handles.send(handle, number)


def _members(group: int, mark: str) -> Iterator[ProcessStat]:
    for one in process_table.processes():
        if one.group == group and (not mark or _is_marked(one.pid, mark)):
            yield one


def _is_marked(pid: int, path: str) -> bool:
    return process_table.has_environment(pid, f"{MARK}={path}")


def _may_have_members(group: int) -> bool:
    """Say whether a group exists at all, be it of zombies: one call instead of a walk through all processes."""
    if group <= 1:
        return False
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is there, though not ours
    return True
