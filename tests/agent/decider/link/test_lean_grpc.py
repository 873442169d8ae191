import subprocess
import sys

from fakes.link_controller import Controller
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.link import lean_grpc
from homeostat_agent.decider.link.identity import identity_folder

PROGRAM = """
import sys
from homeostat_agent.decider.link import lean_grpc
assert lean_grpc.load()
assert not lean_grpc.load()
from homeostat_agent.decider.link import link
from homeostat_agent.decider.link.channel import connect
from homeostat_agent.decider.link.identity import Identity
from homeostat.wire.v1 import link_pb2, link_pb2_grpc
assert not [one for one in sys.modules if one.split(".")[0] in ("asyncio", "ssl", "numpy", "cryptography")]

address, folder = sys.argv[1:]
key, certificate, authority = (
    open(f"{folder}/{name}.pem", "rb").read() for name in ("key", "certificate", "authority")
)
channel = connect(address, authority, Identity("ep-1", {}, address, key, certificate, authority))
stub = link_pb2_grpc.LinkServiceStub(channel)
message = link_pb2.AgentMessage(instance_uid="ep-1", sequence_num=7)
print(stub.CheckIn(message, timeout=20).acknowledged_sequence_num)
print(*(answer.acknowledged_sequence_num for answer in stub.Session(iter([message]), timeout=20)))
channel.close()

import asyncio
async def still_there(): return "asyncio"
print(asyncio.run(still_there()))
"""


def test_without_asyncio_calls_and_streams_work_over_tls(controller: Controller, config: AgentConfig) -> None:
    argv = [sys.executable, "-I", "-c", PROGRAM, controller.link_address, str(identity_folder(config))]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["7", "7", "asyncio"]


def test_where_grpc_is_loaded_nothing_is_touched() -> None:
    before = dict(sys.modules)
    assert not lean_grpc.load()
    assert sys.modules == before
