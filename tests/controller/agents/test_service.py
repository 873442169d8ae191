"""The link as agents use it: real gRPC, real mutual TLS, real SQLite."""

import hashlib
from pathlib import Path

import grpc
import pytest
from fixtures_controller import Chain, closed, decided, opened, outcome, pack
from fixtures_identities import Keys
from fixtures_running import WAIT_S, Agent, Running, build, policy_text, wait_until

from homeostat.policy import Policy
from homeostat.wire.v1 import enrolment_pb2, enrolment_pb2_grpc, incident_pb2, link_pb2
from homeostat_controller import core as cores
from homeostat_controller.agents import service
from homeostat_controller.clock import utc_now
from homeostat_controller.policies import document
from homeostat_controller.policies.editing import PolicyRefused
from homeostat_controller.policies.signing import GRANT_TAG, POLICY_TAG
from homeostat_controller.store import approvals, audit, endpoints, incidents
from homeostat_controller.store.audit import AuditFilter
from homeostat_controller.store.paging import PageRequest


def detail(controller: Running, agent: Agent) -> endpoints.EndpointDetail:
    with controller.core.database.read() as connection:
        return endpoints.get(connection, agent.id)


def verbs(controller: Running, agent: Agent) -> list[str]:
    wanted = AuditFilter(object_kind="endpoint", object_id=agent.id)
    with controller.core.database.read() as connection:
        return [one.verb for one in audit.list_page(connection, wanted, PageRequest()).items]


def test_a_published_policy_reaches_the_session_and_its_verdict_the_store(controller: Running) -> None:
    agent = controller.agent(role="web")
    core = controller.core
    with agent.session(role="web") as talk:
        talk.read()
        published = core.editing.publish_text("default", policy_text("web", "{role: web}"), "anna")
        offer = talk.offer()
        assert (offer.policy.name, offer.policy.revision) == ("web", published.revision)
        assert core.signer.holds(POLICY_TAG, offer.signed)
        assert hashlib.sha256(offer.signed.payload).digest() == offer.policy.sha256 == published.sha256
        talk.accept(offer)
        wait_until(lambda: detail(controller, agent).policy.active_revision == published.revision)
    verdicts = core.metrics.registry.get_sample_value("homeostat_policy_verdicts_total", {"verdict": "active"})
    assert verdicts == 1


def test_only_endpoints_that_a_policy_selects_are_offered_it(controller: Running) -> None:
    web, db = controller.agent(role="web"), controller.agent(role="db")
    with web.session(role="web") as one, db.session(role="db") as other:
        for talk in (one, other):
            talk.read()
        controller.core.editing.publish_text("default", policy_text("web", "{role: web}"), "anna")
        assert one.offer().policy.name == "web"
        controller.core.editing.publish_text("default", policy_text("db", "{role: db}"), "anna")
        assert other.offer().policy.name == "db"


def test_an_invalid_policy_changes_nothing(controller: Running) -> None:
    agent = controller.agent()
    with agent.session() as talk:
        talk.read()
        for text in ("", "name: 3", policy_text().replace("restart_service", "format_disk"), "a: [", "\x00"):
            with pytest.raises(PolicyRefused):
                controller.core.editing.publish_text("default", text, "anna")
        published = controller.core.editing.publish_text("default", policy_text(), "anna")
        assert published.revision == 1
        assert talk.offer().policy.revision == 1


def test_events_are_stored_before_they_are_acknowledged_and_repeats_do_no_harm(controller: Running) -> None:
    agent = controller.agent()
    chain = Chain(agent.id)
    for event in (opened(), decided(), outcome(), closed()):
        chain.add(event)
    with agent.stub() as stub:
        assert stub.PushEvents(link_pb2.PushEventsRequest(instance_uid=agent.id), timeout=WAIT_S).next_sequence == 1
        assert stub.PushEvents(chain.push(1, 2), timeout=WAIT_S).next_sequence == 3
        assert stub.PushEvents(chain.push(), timeout=WAIT_S, compression=grpc.Compression.Gzip).next_sequence == 5
        assert stub.PushEvents(chain.push(), timeout=WAIT_S).next_sequence == 5
    with controller.core.database.read() as connection:
        assert incidents.get(connection, "inc-1").view.status == "healed"


def test_telemetry_s_newest_value_is_kept(controller: Running) -> None:
    agent = controller.agent()
    request = link_pb2.PushEventsRequest(instance_uid=agent.id, telemetry_dropped=4)
    for value in (1.0, 2.0):
        request.telemetry.add(values={"cpu.busy": value}).at.FromSeconds(1_700_000_000)
    with agent.stub() as stub:
        stub.PushEvents(request, timeout=WAIT_S)
    wait_until(lambda: detail(controller, agent).telemetry == {"cpu.busy": 2.0})
    assert detail(controller, agent).telemetry_dropped == 4


def test_an_approval_reaches_a_connected_endpoint_and_its_receipt_comes_back(controller: Running) -> None:
    agent, core = controller.agent(), controller.core
    chain = Chain(agent.id)
    for event in (opened(at=core.clock()), pack(at=core.clock())):
        chain.add(event)
    with agent.session() as talk, agent.stub() as stub:
        stub.PushEvents(chain.push(), timeout=WAIT_S)
        core.approvals.approve("pack-1", "anna")
        (signed,) = talk.read_until(lambda one: list(one.grants))
        assert core.signer.holds(GRANT_TAG, signed)
        grant = incident_pb2.Grant.FromString(signed.payload)
        assert (grant.pack_id, grant.endpoint_id, grant.approver) == ("pack-1", agent.id, "anna")
        talk.send(agent.message(receipts=[link_pb2.Receipt(id="pack-1", result="accepted")]))
        sent = agent.sequence
        talk.read_until(lambda one: one.acknowledged_sequence_num == sent)
    with core.database.read() as connection:  # stored before it was acknowledged
        assert approvals.get(connection, "pack-1").view.status == "used"


def test_artifacts_are_fetched_by_hash_from_any_offset(controller: Running) -> None:
    content = bytes(range(256)) * 3000  # three chunks
    digest = hashlib.sha256(content).digest()
    (controller.core.settings.artifacts_dir / digest.hex()).write_bytes(content)
    agent = controller.agent()
    with agent.stub() as stub:
        chunks = list(stub.FetchArtifact(link_pb2.FetchArtifactRequest(sha256=digest), timeout=WAIT_S))
        assert b"".join(one.chunk for one in chunks) == content
        assert {one.total_bytes for one in chunks} == {len(content)}
        assert max(len(one.chunk) for one in chunks) == 256 << 10
        request = link_pb2.FetchArtifactRequest(sha256=digest, offset=700_000)
        rest = list(stub.FetchArtifact(request, timeout=WAIT_S))
        assert b"".join(one.chunk for one in rest) == content[700_000:]
        for wrong in (bytes(32), b"../../etc/passwd", b""):
            with pytest.raises(grpc.RpcError) as refused:
                list(stub.FetchArtifact(link_pb2.FetchArtifactRequest(sha256=wrong), timeout=WAIT_S))
            assert refused.value.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT)


def test_a_certificate_is_renewed_for_a_new_key(controller: Running) -> None:
    agent, fresh = controller.agent(), Keys()
    with agent.channel() as channel:
        stub = enrolment_pb2_grpc.IdentityServiceStub(channel)
        answer = stub.Renew(enrolment_pb2.RenewRequest(csr_der=fresh.csr_der), timeout=WAIT_S)
    renewed = Agent(controller, fresh, enrolment_pb2.EnrollResponse(endpoint_id=agent.id, identity=answer.identity))
    with renewed.session() as talk:
        assert talk.read().acknowledged_sequence_num == 1
    assert detail(controller, agent).certificate_serial


def test_check_in_carries_a_session_over_single_calls(controller: Running) -> None:
    agent = controller.agent()
    with agent.stub() as stub:

        def check_in(message: link_pb2.AgentMessage) -> link_pb2.ControllerMessage:
            answer = stub.CheckIn(message, timeout=WAIT_S)
            agent.token = answer.session_token or agent.token
            return answer

        assert check_in(agent.message()).report_full_state  # there is no session yet
        first = check_in(agent.hello())
        assert first.acknowledged_sequence_num == agent.sequence
        controller.core.editing.publish_text("default", policy_text(), "anna")
        offered = check_in(agent.message())
        assert offered.policy_offer.policy.name == "web"
        assert offered.acknowledged_sequence_num == agent.sequence
    wait_until(lambda: detail(controller, agent).view.connected)


def test_stopping_asks_agents_to_come_back_and_keeps_what_they_said(tmp_path: Path) -> None:
    running = Running(build(tmp_path / "data"))
    agent = running.agent()
    with agent.session() as talk:
        talk.read()
        talk.send(agent.message(state=link_pb2.EndpointState(health="degraded")))
        sent = agent.sequence
        talk.read_until(lambda one: one.acknowledged_sequence_num == sent)
        running.stop()
        assert talk.read_until(lambda one: one.settings.HasField("retry_after"))
        assert talk.status() is grpc.StatusCode.OK
    again = build(tmp_path / "data")
    with again.database.read() as connection:
        view = endpoints.get(connection, agent.id).view
    assert (view.health, view.connected) == ("degraded", False)
    again.close()


def test_limits_of_sizes_are_below_what_the_transport_takes() -> None:
    assert service.EVENTS_BYTES_MAX <= service.CONTROL_BYTES_MAX


def large_policies(tmp_path: Path, **changes: object) -> Running:
    """A controller whose policies are near the limit of what an offer may carry."""
    policy = Policy(name="web", description="x" * 200_000)
    usual = build(tmp_path / "data", utc_now, **changes)
    usual.close()
    return Running(cores.build(usual.settings, utc_now, lambda _text: document.Compiled(policy, ())))


def test_who_does_not_read_gets_the_latest_later_and_holds_up_nobody(tmp_path: Path) -> None:
    running = large_policies(tmp_path)
    slow, healthy = running.agent(), running.agent()
    with slow.session() as stuck, healthy.session() as talk:
        for revision in range(1, 13):
            running.core.editing.publish_text("default", "text", "anna")
            assert talk.offer().policy.revision == revision
        seen = [stuck.offer().policy.revision]
        while seen[-1] < 12:
            seen.append(stuck.offer().policy.revision)
    running.stop()
    assert seen == sorted(seen)
    assert len(seen) < 12  # what was outdated before it could be sent never was


def test_who_does_not_read_for_too_long_is_cut_off(tmp_path: Path) -> None:
    running = large_policies(tmp_path, slow_reader_s=0.3)
    slow, healthy = running.agent(), running.agent()
    with slow.session(), healthy.session() as talk:
        talk.read()
        wait_until(lambda: running.core.sessions.count == 2)
        for revision in range(1, 5):
            running.core.editing.publish_text("default", "text", "anna")
            assert talk.offer().policy.revision == revision
        wait_until(lambda: running.core.sessions.count == 1)
        ended = running.core.metrics.registry.get_sample_value("homeostat_sessions_ended_total", {"cause": "slow"})
        assert ended == 1
        talk.send(healthy.message())
        sent = healthy.sequence
        talk.read_until(lambda one: one.acknowledged_sequence_num == sent)
    with slow.session() as again:
        assert again.read().acknowledged_sequence_num
    running.stop()
