#!/usr/bin/env python3
"""A policy published to N sessions over mTLS: time from the publication to each acknowledgement, and to all of them.

The sessions speak the real protocol: enrolled each with its own key and certificate, one Session stream each, a full
status first, and a policy status with the offered hash when an offer comes. They stand in for agents only in that they
do not verify the policy.
"""

import argparse
import asyncio
import base64
import json
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
from _stage import POLICY, Controller, quantile
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from homeostat.policy import SEMANTICS_VERSION
from homeostat.wire.v1 import enrolment_pb2, enrolment_pb2_grpc, link_pb2, link_pb2_grpc
from homeostat_controller.client.client import Client


class Session:
    """One enrolled endpoint and its stream."""

    def __init__(self, identity: enrolment_pb2.EnrollResponse, key_pem: bytes, address: str) -> None:
        self.uid = identity.endpoint_id
        credentials = grpc.ssl_channel_credentials(
            identity.identity.authority_pem.encode(), key_pem, identity.identity.certificate_pem.encode()
        )
        self.channel = grpc.aio.secure_channel(address, credentials)
        self.outgoing: asyncio.Queue[link_pb2.AgentMessage] = asyncio.Queue()
        self.sequence = 0
        self.token = b""
        self.acknowledged: dict[int, float] = {}
        self.ready = asyncio.Event()

    async def run(self) -> None:
        stub = link_pb2_grpc.LinkServiceStub(self.channel)
        hello = link_pb2.Hello(agent_version="bench", semantics=SEMANTICS_VERSION, boot_id="bench", next_event=1)
        self.say(hello=hello, state=link_pb2.EndpointState(health="ok"), policy=link_pb2.PolicyStatus())
        stream = stub.Session(self.messages())
        async for message in stream:
            self.token = message.session_token or self.token
            self.ready.set()
            if message.HasField("policy_offer"):
                offer = message.policy_offer.policy
                self.say(policy=link_pb2.PolicyStatus(offered=offer, active=offer, last_good=offer))
                self.acknowledged[offer.revision] = time.monotonic()

    def say(self, **fields: object) -> None:
        self.sequence += 1
        message = link_pb2.AgentMessage(instance_uid=self.uid, sequence_num=self.sequence, **fields)  # type: ignore[arg-type]  # the fields are named by the caller
        self.outgoing.put_nowait(message)

    async def messages(self) -> AsyncIterator[link_pb2.AgentMessage]:
        while True:
            message = await self.outgoing.get()
            message.session_token = self.token
            yield message


async def enrolled(api: Client, controller: Controller, number: int, channel: list[grpc.aio.Channel]) -> Session:
    body = {"group": "", "labels": {}, "minutes": 15, "note": "bench"}
    text = (await asyncio.to_thread(api.post, "/enrolment-tokens", body))["token"]
    token = enrolment_pb2.JoinToken.FromString(base64.urlsafe_b64decode(text.removeprefix("hst1:") + "=="))
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    request = enrolment_pb2.EnrollRequest(
        token=text,
        csr_der=csr.public_bytes(serialization.Encoding.DER),
        nonce=number.to_bytes(16, "big"),
        name=f"load-{number}",
    )
    if not channel:
        pem = x509.load_der_x509_certificate(token.authority_der).public_bytes(serialization.Encoding.PEM)
        address = f"127.0.0.1:{controller.ports['enrol']}"
        channel.append(grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(pem)))
    response = await enrolment_pb2_grpc.EnrolmentServiceStub(channel[0]).Enroll(request)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Session(response, pem, f"127.0.0.1:{controller.ports['link']}")


async def campaign(api: Client, controller: Controller, sessions: int, publications: int) -> dict[str, object]:
    channel: list[grpc.aio.Channel] = []
    fleet = [await enrolled(api, controller, number, channel) for number in range(sessions)]
    tasks = [asyncio.create_task(one.run()) for one in fleet]
    for one in fleet:
        await asyncio.wait_for(one.ready.wait(), 60)
    single: list[float] = []
    whole: list[float] = []
    stored: list[float] = []
    for number in range(publications + 1):
        text = POLICY.replace("name: bench", f"name: bench\ndescription: publication {number}")
        began = time.monotonic()
        made = await asyncio.to_thread(api.post, "/policies", {"text": text})
        await acknowledged(fleet, tasks, made["revision"])
        await shown_active(api, sessions, made["revision"])
        if number:  # the first one warms up
            times = [one.acknowledged[made["revision"]] - began for one in fleet]
            single += times
            whole.append(max(times))
            stored.append(time.monotonic() - began)
    for task in tasks:
        task.cancel()
    return {
        "sessions": sessions,
        "publications": publications,
        "one_session_p50_ms": round(quantile(single, 0.5) * 1e3, 1),
        "one_session_p99_ms": round(quantile(single, 0.99) * 1e3, 1),
        "all_sessions_p50_ms": round(quantile(whole, 0.5) * 1e3, 1),
        "all_sessions_p99_ms": round(quantile(whole, 0.99) * 1e3, 1),
        "all_shown_active_by_the_api_p50_ms": round(quantile(stored, 0.5) * 1e3, 1),
        "all_shown_active_by_the_api_p99_ms": round(quantile(stored, 0.99) * 1e3, 1),
    }


async def acknowledged(fleet: list[Session], tasks: list[asyncio.Task[None]], revision: int) -> None:
    """Wait until every session has said that it took the revision."""
    while not all(revision in one.acknowledged for one in fleet):
        failed = [task for task in tasks if task.done()]
        if failed:
            raise SystemExit(f"a session ended: {failed[0].exception()}")
        await asyncio.sleep(0.002)


async def shown_active(api: Client, sessions: int, revision: int) -> None:
    """Wait until the API counts every endpoint as active under the revision."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = await asyncio.to_thread(api.get, "/policies/bench")
        if found["revision"] == revision and found["endpoints_active"] == sessions:
            return
        await asyncio.sleep(0.005)
    raise SystemExit("the API does not show every endpoint active")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--publications", type=int, default=20)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="homeostat-bench-") as folder:
        controller = Controller(Path(folder) / "controller")
        try:
            api = controller.start()
            print(json.dumps(asyncio.run(campaign(api, controller, given.sessions, given.publications))))
        finally:
            controller.stop()


if __name__ == "__main__":
    main()
