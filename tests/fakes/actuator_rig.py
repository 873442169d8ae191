"""A real actuator process on a configuration of its own, with real keys, and the decider's end of its socket."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from homeostat.catalogue import Risk
from homeostat.diagnosis import FaultClass
from homeostat.evidence import Evidence, Signal, SignalKind
from homeostat.exception_pack import Grant
from homeostat.incident import Incident
from homeostat.playbook import Playbook
from homeostat.policy import Budget, Delegation, Level, Limits, Policy, Rule
from homeostat.subject import Subject, SubjectKind
from homeostat.wire.incidents import incident_to_wire
from homeostat.wire.packs import grant_to_wire
from homeostat.wire.policies import policy_to_wire
from homeostat.wire.v1 import actuation_pb2, enrolment_pb2, policy_pb2
from homeostat_agent import frames
from homeostat_agent.config import AgentConfig, load
from homeostat_agent.trust import TAGS, key_id

ENDPOINT_ID = "endpoint-1"
PATIENCE_S = 20.0
T = TypeVar("T")


def until(what: str, look: Callable[[], T | None], within_s: float = PATIENCE_S) -> T:
    """Look again and again until there is something to see; fail, naming it, when there is not in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError(f"{what}: not within {within_s:g} s")


@dataclass(slots=True)
class Signer:
    """One key that vouches for content."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    def trusted_keys(self) -> bytes:
        return policy_pb2.TrustedKeys(ed25519_public_keys=[self.public], threshold=1, lab=True).SerializeToString()

    def sign(self, kind: str, payload: bytes) -> policy_pb2.Signed:
        value = self.key.sign(TAGS[kind] + b"\0" + payload)
        signature = policy_pb2.Signature(key_id=key_id(self.public), value=value)
        return policy_pb2.Signed(payload=payload, signatures=[signature])

    def policy(self, policy: Policy) -> policy_pb2.Signed:
        return self.sign("policy", policy_to_wire(policy).SerializeToString())

    def grant(self, grant: Grant) -> policy_pb2.Signed:
        return self.sign("grant", grant_to_wire(grant).SerializeToString())


def subject(kind: str, name: str) -> Subject:
    return Subject(SubjectKind(kind), name)


def policy(revision: int = 1, *, level: Level = Level.ACT, verify_within_s: float = 5.0, **changes: object) -> Policy:
    """Return a policy that delegates all three repairs, generously."""
    within = timedelta(seconds=verify_within_s)
    playbooks = {
        "restart": Playbook("restart", "restart_service", verify_within=within),
        "end": Playbook("end", "stop_process", {"grace": 1.0}, verify_within=within),
        "clean": Playbook("clean", "free_disk_space", {"target": 50.0, "minimum_age": 0.0}, verify_within=within),
    }
    delegation = Delegation(level, least_confidence=0.5, highest_risk=Risk.HIGH)
    rules = (
        Rule(
            "restart-it",
            frozenset({FaultClass.SERVICE_DOWN, FaultClass.SERVICE_HUNG, FaultClass.MEMORY_LEAK}),
            ("service:*",),
            ("restart",),
            delegation,
        ),
        Rule("end-it", frozenset({FaultClass.RUNAWAY_CPU}), ("process:*",), ("end",), delegation),
        Rule("clean-it", frozenset({FaultClass.DISK_FULL}), ("folder:*",), ("clean",), delegation),
    )
    many = Budget(1000, timedelta(hours=1))
    limits = Limits(actions=many, failures=many, repeats=many)
    values: dict[str, object] = {"rules": rules, "playbooks": playbooks, "limits": limits, **changes}
    return Policy("test", revision, **values)  # type: ignore[arg-type]  # a test names the fields it changes


def incident(
    about: Subject,
    fault: FaultClass = FaultClass.SERVICE_DOWN,
    kind: SignalKind = SignalKind.SERVICE_EXITED,
    name: str = "incident-1",
) -> Incident:
    now = datetime.now(UTC)
    return Incident(name, ENDPOINT_ID, fault, about, 1.0, now, Evidence((Signal(kind, about, now),)))


@dataclass(slots=True)
class Connection:
    """The decider's end of the socket. What arrives out of turn is kept for whoever asks for it."""

    socket: socket.socket
    kept: list[actuation_pb2.ActuatorMessage] = field(default_factory=list)

    def say(self, **message: object) -> None:
        frames.send(self.socket, actuation_pb2.DeciderMessage(**message))  # type: ignore[arg-type]  # one field each

    def hear(self, kind: str, within_s: float = PATIENCE_S) -> actuation_pb2.ActuatorMessage:
        """Return the next message of a kind; ConnectionError when the actuator has gone."""
        for at, message in enumerate(self.kept):
            if message.WhichOneof("message") == kind:
                return self.kept.pop(at)
        deadline = time.monotonic() + within_s
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                found = frames.receive(self.socket, actuation_pb2.ActuatorMessage)
            except TimeoutError:
                break
            if found is None:
                raise ConnectionError("the actuator has closed the connection")
            if found.WhichOneof("message") == kind:
                return found
            self.kept.append(found)
        raise AssertionError(f"no {kind} within {within_s:g} s")

    def use(self, signed: policy_pb2.Signed) -> actuation_pb2.PolicyVerdict:
        self.say(use_policy=actuation_pb2.UsePolicy(signed=signed))
        return self.hear("policy_verdict").policy_verdict

    def heal(self, run_id: str, about: Incident, playbook: str, grant: policy_pb2.Signed | None = None) -> None:
        self.say(
            heal=actuation_pb2.Heal(run_id=run_id, incident=incident_to_wire(about), playbook=playbook, grant=grant)
        )

    def stored(self, run_id: str) -> None:
        self.say(outcome_stored=actuation_pb2.OutcomeStored(run_id=run_id))

    def close(self) -> None:
        self.socket.close()


@dataclass(slots=True)
class Rig:
    """One endpoint below `root`: enrolled, configured, its actuator started and ended as a test wants."""

    root: Path
    tables: str = ""
    signer: Signer = field(default_factory=Signer)
    process: "subprocess.Popen[bytes] | None" = None
    connections: list[Connection] = field(default_factory=list)

    @property
    def config_path(self) -> Path:
        return self.root / "agent.toml"

    @property
    def config(self) -> AgentConfig:
        return load(self.config_path)

    @property
    def data_dir(self) -> Path:
        return self.root / "actuator"

    def prepare(self) -> "Rig":
        for folder in (self.root, self.root / "run", self.data_dir):
            folder.mkdir(mode=0o700, exist_ok=True)
        text = f'[agent]\nrun_dir = "{self.root}/run"\n[actuator]\ndata_dir = "{self.data_dir}"\n{self.tables}'
        self.config_path.write_text(text)
        (self.data_dir / "trusted_keys.binpb").write_bytes(self.signer.trusted_keys())
        enrolled = enrolment_pb2.EnrollResponse(endpoint_id=ENDPOINT_ID, labels={"role": "test"})
        (self.data_dir / "endpoint.binpb").write_bytes(enrolled.SerializeToString())
        return self

    def start(self, *, listening: bool = True) -> "subprocess.Popen[bytes]":
        argv = [sys.executable, "-I", "-m", "homeostat_agent.actuator", str(self.config_path)]
        with (self.root / "actuator.log").open("ab") as output:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        if listening:
            until("the actuator's socket", self._answers)
        return self.process

    def connect(self) -> Connection:
        """Connect, and take the greeting."""
        connection = self.connect_unheard()
        connection.hear("ready")
        return connection

    def connect_unheard(self) -> Connection:
        connection = Connection(self._socket())
        self.connections.append(connection)
        return connection

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE_S)

    def log(self) -> str:
        return (self.root / "actuator.log").read_text()

    def clean_up(self) -> None:
        """End the actuator, and the services that it leaves running by design."""
        for connection in self.connections:
            connection.close()
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for service in self.config.service:
            end_group(Path(service.pid_file))

    def _socket(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(PATIENCE_S)
        try:
            connection.connect(str(self.root / "run" / "actuator.sock"))
        except OSError:
            connection.close()
            raise
        return connection

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the actuator ended with {self.process.returncode}: {self.log()}")
        try:
            with self._socket() as connection:
                # A greeting, and not only a connection: for a moment a killed actuator's socket may live on in a child
                # that it was just starting.
                return frames.receive(connection, actuation_pb2.ActuatorMessage) is not None
        except OSError:
            return False


def read_pid(pid_file: Path) -> int:
    """Return the pid that a pid file names, or 0."""
    try:
        return int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def is_running(pid: int) -> bool:
    """Say whether a process runs; a zombie does not."""
    if pid <= 0:
        return False
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in "ZX"


def end_group(pid_file: Path) -> None:
    """End a process group that a test's actuator started, if it is still the one the file names."""
    try:
        words = pid_file.read_text().split()
    except OSError:
        return
    if len(words) == 2 and is_running(int(words[0])):
        os.killpg(int(words[0]), signal.SIGKILL)
