"""The whole program as a process: it starts, serves both sides, stops in order, and loses nothing when it is killed."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
from fixtures_controller import Chain, closed, decided, opened, outcome
from fixtures_identities import Keys
from fixtures_running import WAIT_S

from homeostat.wire.v1 import enrolment_pb2, enrolment_pb2_grpc, link_pb2, link_pb2_grpc
from homeostat_controller.store import audit, events, incidents
from homeostat_controller.store.conditions import Filter
from homeostat_controller.store.database import Database
from homeostat_controller.store.paging import PageRequest

PROGRAM = """
import sys
from pathlib import Path
from homeostat_controller import app, config
from homeostat_controller.agents.enrolment import TokenRequest
from homeostat_controller.errors import ControllerError

def ready(core, url):
    token = core.enrolment.create_token(TokenRequest(), "test").text
    print(url, core.addresses.enrol, core.addresses.link, token, flush=True)

try:
    app.serve(config.load(Path(sys.argv[1]), {}), ready)
except ControllerError as error:
    sys.exit(f"error: {error}")
"""


@dataclass
class Process:
    running: "subprocess.Popen[str]"
    url: str
    enrol: str
    link: str
    token: str
    log: Path

    def stop(self, number: int) -> int:
        self.running.send_signal(number)
        return self.running.wait(WAIT_S)


def settings_file(folder: Path, http: str = "127.0.0.1:0") -> Path:
    path = folder / "controller.toml"
    path.write_text(
        f'data_dir = "{folder}/data"\nhttp_listen = "{http}"\nenrol_listen = "127.0.0.1:0"\n'
        'link_listen = "127.0.0.1:0"\nnames = ["127.0.0.1"]\nlog_format = "json"\n'
    )
    return path


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Process]:
    argv = [sys.executable, "-c", PROGRAM, str(settings_file(folder))]
    log = folder / "log"
    with log.open("a") as stream, subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=stream, text=True) as running:
        assert running.stdout is not None
        line = running.stdout.readline().split()
        assert len(line) == 4, log.read_text()
        try:
            url, enrol_address, link_address, token = line
            yield Process(running, url, enrol_address, link_address, token, log)
        finally:
            if running.poll() is None:
                running.kill()


def enrol(process: Process, data: Path) -> tuple[Keys, enrolment_pb2.EnrollResponse]:
    keys, root = Keys(), (data / "authority" / "root.pem").read_bytes()
    certificate = root[root.index(b"-----BEGIN CERTIFICATE") :]
    with grpc.secure_channel(process.enrol, grpc.ssl_channel_credentials(certificate)) as channel:
        stub = enrolment_pb2_grpc.EnrolmentServiceStub(channel)
        return keys, stub.Enroll(keys.request(process.token), timeout=WAIT_S)


def channel_to(process: Process, keys: Keys, identity: enrolment_pb2.Identity) -> grpc.Channel:
    credentials = grpc.ssl_channel_credentials(
        identity.authority_pem.encode(), keys.pem, identity.certificate_pem.encode()
    )
    return grpc.secure_channel(process.link, credentials)


def test_it_serves_people_and_agents_and_stops_when_asked(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        assert httpx.get(f"{process.url}/healthz", timeout=WAIT_S).status_code == 200
        keys, enrolled = enrol(process, tmp_path / "data")
        with channel_to(process, keys, enrolled.identity) as channel:
            request = link_pb2.PushEventsRequest(instance_uid=enrolled.endpoint_id)
            assert link_pb2_grpc.LinkServiceStub(channel).PushEvents(request, timeout=WAIT_S).next_sequence == 1
        assert process.stop(signal.SIGTERM) == 0
    lines = [json.loads(line) for line in process.log.read_text().splitlines()]
    told = [line["event"] for line in lines]
    assert told.index("ready") < told.index("stopping") < told.index("stopped")
    assert process.token not in process.log.read_text()


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        path = settings_file(tmp_path, f"127.0.0.1:{taken.getsockname()[1]}")
        argv = [sys.executable, "-c", PROGRAM, str(path)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("error: 127.0.0.1:")
    assert "Traceback" not in done.stderr


def chain_of(endpoint_id: str, count: int) -> Chain:
    chain = Chain(endpoint_id)
    for number in range(count):
        name = f"inc-{number}"
        for event in (opened(name), decided(name), outcome(f"run-{number}", name), closed(name)):
            chain.add(event)
    return chain


def push_until_dead(channel: grpc.Channel, chain: Chain, acknowledged: list[int]) -> None:
    """Push a few records after another from where the controller says, until it is gone."""
    stub = link_pb2_grpc.LinkServiceStub(channel)
    with contextlib.suppress(grpc.RpcError):
        empty = link_pb2.PushEventsRequest(instance_uid=chain.endpoint_id)
        acknowledged.append(stub.PushEvents(empty, timeout=WAIT_S).next_sequence)
        while acknowledged[-1] < chain.next_sequence:
            request = chain.push(acknowledged[-1], acknowledged[-1] + 2)
            acknowledged.append(stub.PushEvents(request, timeout=WAIT_S).next_sequence)


class Killer(threading.Timer):
    """Kills a process after a while, whatever it does then."""

    def __init__(self, after_s: float, pid: int) -> None:
        super().__init__(after_s, os.kill, (pid, signal.SIGKILL))
        self.start()


def test_killed_while_it_stores_it_keeps_what_it_acknowledged_and_nothing_twice(tmp_path: Path) -> None:
    with started(tmp_path) as process:
        keys, enrolled = enrol(process, tmp_path / "data")
        assert process.stop(signal.SIGTERM) == 0
    chain, acknowledged = chain_of(enrolled.endpoint_id, 60), [1]
    for after_s in (0.15,):
        with started(tmp_path) as process, channel_to(process, keys, enrolled.identity) as channel:
            killer = Killer(after_s, process.running.pid)
            push_until_dead(channel, chain, acknowledged)
            process.running.wait(WAIT_S)
            killer.join()
    with started(tmp_path) as process, channel_to(process, keys, enrolled.identity) as channel:
        push_until_dead(channel, chain, acknowledged)
        assert process.stop(signal.SIGTERM) == 0
    assert acknowledged == sorted(acknowledged)  # what was acknowledged stayed so
    assert acknowledged[-1] == chain.next_sequence
    database = Database(f"sqlite:///{tmp_path}/data/controller.db")
    with database.read() as connection:
        stored = events.log(connection, chain.endpoint_id, 1, 10_000)
        assert [(one.sequence, one.hash) for one in stored] == [(one.sequence, one.hash) for one in chain.records]
        assert incidents.counts(connection) == {"healed": 60}
        assert incidents.outcomes(connection, Filter(), PageRequest()).total == 60
        assert audit.verify(connection).problem == ""
    database.close()
