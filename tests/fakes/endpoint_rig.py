"""A whole endpoint below one folder: real decider, real actuator, real small services, a policy signed by a test's key.

Enrolled as far as deciding goes: the keys to trust and the accepted policy lie where enrolment and the link put them;
there is no controller.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from fakes.actuator_rig import ENDPOINT_ID, Signer, end_group, is_running, read_pid, until
from fakes.built_model import model_folder
from homeostat.policy import Policy
from homeostat.wire.v1 import enrolment_pb2, incident_pb2, link_pb2
from homeostat_agent.config import AgentConfig, load
from homeostat_agent.decider.store.incidents import IncidentRecord
from homeostat_agent.decider.store.policies import PolicyRef, StoredPolicy
from homeostat_agent.decider.store.recorder import Recorder, Stores, reading
from homeostat_agent.decider.store.state import ENDPOINT_STATE

AGENT = str(Path(sys.executable).with_name("homeostat-agent"))
SPOOL_BYTES = 1 << 20
# No service outlives this, whatever happens to the test.
SERVICE = [sys.executable, "-c", "import time; time.sleep(120)"]
T = TypeVar("T")


@dataclass(slots=True)
class EndpointRig:
    """One endpoint. `policy` decides on it from its first start on."""

    root: Path
    policy: Policy
    tables: str = ""
    period_s: float = 0.5
    signer: Signer = field(default_factory=Signer)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def config_path(self) -> Path:
        return self.root / "agent.toml"

    @property
    def config(self) -> AgentConfig:
        return load(self.config_path)

    def prepare(self, *services: str) -> "EndpointRig":
        """Write the configuration with these services, the keys, the model and the accepted policy."""
        for name in ("", "data", "run", "actuator", "services", "models"):
            (self.root / name).mkdir(mode=0o700, exist_ok=True)
        model_folder(self.root / "models")
        self.config_path.write_text(self._toml(services))
        keys = self.signer.trusted_keys()
        (self.root / "data" / "trusted_keys.binpb").write_bytes(keys)
        (self.root / "actuator" / "trusted_keys.binpb").write_bytes(keys)
        enrolled = enrolment_pb2.EnrollResponse(endpoint_id=ENDPOINT_ID)
        (self.root / "actuator" / "endpoint.binpb").write_bytes(enrolled.SerializeToString())
        self.accept(self.policy)
        return self

    def accept(self, policy: Policy) -> None:
        """Put a policy where an accepted one lies. Only while no decider runs."""
        signed = self.signer.policy(policy)
        ref = PolicyRef(policy.name, policy.revision, sha256(signed.payload).digest())
        recorder = Recorder(self.config.store, SPOOL_BYTES, lambda: datetime.now(UTC))
        recorder.start()
        recorder.submit(lambda stores: stores.policies.accept(StoredPolicy(ref, signed.SerializeToString()))).result(30)
        recorder.stop()

    def start(self) -> None:
        """Start the agent as a service manager would."""
        with (self.root / "agent.log").open("ab") as log:
            argv = [AGENT, "run", "--config", str(self.config_path)]
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self) -> None:
        """Kill the decider alone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End the decider as a service manager would; return its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(30)

    def clean_up(self) -> None:
        """End everything that was started."""
        if self.process is not None and self.process.poll() is None:
            self.stop()
        for actuator in self.actuators():
            os.kill(actuator, signal.SIGKILL)
        for service in self.config.service:
            end_group(Path(service.pid_file))

    def actuators(self) -> list[int]:
        """Return the actuators that run on this configuration."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                argv = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            except OSError:
                continue
            if b"actuate" in argv and str(self.config_path).encode() in argv and is_running(int(entry.name)):
                found.append(int(entry.name))
        return found

    def pid(self, service: str) -> int:
        """Return a service's process, 0 when none runs."""
        found = read_pid(self.root / "services" / f"{service}.pid")
        return found if is_running(found) else 0

    def runs_anew(self, service: str, before: int) -> int:
        """Wait until a service runs in another process; return that."""
        return until(f"{service} in a new process", lambda: pid if (pid := self.pid(service)) != before else None)

    def read(self, work: Callable[[Stores], T]) -> T:
        """Look into the decider's store beside it."""
        with reading(self.config.store, SPOOL_BYTES) as stores:
            return work(stores)

    def incidents(self) -> tuple[IncidentRecord, ...]:
        """Return all incidents with their entries, newest first."""
        return self.read(lambda stores: stores.incidents.find(""))

    def entries(self, kind: type[T]) -> list[T]:
        """Return what was recorded of one kind, over all incidents, newest first."""
        return [entry for record in self.incidents() for entry in reversed(record.entries) if isinstance(entry, kind)]

    def outcomes(self) -> list[incident_pb2.Outcome]:
        """Return the outcomes, newest first."""
        return self.entries(incident_pb2.Outcome)

    def events(self) -> list[link_pb2.Event]:
        """Return what waits for the controller, in order."""
        batch = self.read(lambda stores: stores.spool.pending(1000, 1 << 24))
        return [link_pb2.Event.FromString(entry.body) for entry in batch.entries]

    def state(self) -> link_pb2.EndpointState:
        """Return the state that the decider told last."""
        return link_pb2.EndpointState.FromString(self.read(lambda stores: stores.state.get(ENDPOINT_STATE)) or b"")

    def is_well(self) -> bool:
        """Say whether the agent runs, under its policy, and everything is well."""
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the agent ended with {self.process.returncode}: {self.log()}")
        return self.state().health == "ok"

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run one of the agent's commands."""
        argv = [AGENT, *arguments, "--config", str(self.config_path)]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)

    def log(self) -> str:
        """Return what the agent has logged."""
        return (self.root / "agent.log").read_text()

    def _toml(self, services: tuple[str, ...]) -> str:
        agent = (
            f'[agent]\nname = "{ENDPOINT_ID}"\ndata_dir = "{self.root}/data"\nrun_dir = "{self.root}/run"\n'
            f'model_dir = "{self.root}/models"\nsample_period_s = {self.period_s}\nspool_bytes_max = {SPOOL_BYTES}\n'
            f'[actuator]\ndata_dir = "{self.root}/actuator"\nstart = "child"\n[labels]\nrole = "test"\n'
        )
        for name in services:
            pid_file = self.root / "services" / f"{name}.pid"
            agent += f'[[service]]\nname = "{name}"\npid_file = "{pid_file}"\ncommand = {json.dumps(SERVICE)}\n'
        return agent + self.tables
