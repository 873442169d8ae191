"""What is said in sessions: openings, gaps, copies of endpoints, and what waits for one that was away."""

from pathlib import Path

import grpc
import pytest
from fixtures_controller import Chain, opened, pack
from fixtures_running import WAIT_S, Agent, Running, build, policy_text, wait_until

from homeostat.wire.v1 import incident_pb2, link_pb2
from homeostat_controller.store import audit, endpoints
from homeostat_controller.store.audit import AuditFilter
from homeostat_controller.store.paging import PageRequest


def detail(controller: Running, agent: Agent) -> endpoints.EndpointDetail:
    with controller.core.database.read() as connection:
        return endpoints.get(connection, agent.id)


def verbs(controller: Running, agent: Agent) -> list[str]:
    wanted = AuditFilter(object_kind="endpoint", object_id=agent.id)
    with controller.core.database.read() as connection:
        return [one.verb for one in audit.list_page(connection, wanted, PageRequest()).items]


def test_a_session_s_first_words_are_stored_and_answered(controller: Running) -> None:
    agent = controller.agent(role="web")
    with agent.session(role="web", tier="gold") as talk:
        first = talk.read()
        assert first.acknowledged_sequence_num == 1
        assert first.settings.heartbeat.ToSeconds() == 30
        assert first.session_token
        wait_until(lambda: detail(controller, agent).view.health == "ok")
        view = detail(controller, agent).view
    assert (view.connected, view.agent_version, view.labels["tier"], view.labels["site"]) == (
        True,
        "0.1.0",
        "gold",
        "default",
    )
    wait_until(lambda: not detail(controller, agent).view.connected)


def test_an_endpoint_that_was_away_is_offered_when_it_comes_and_not_when_it_has_it(controller: Running) -> None:
    agent = controller.agent()
    controller.core.editing.publish_text("default", policy_text(), "anna")
    with agent.session() as talk:
        talk.accept(talk.offer())
        wait_until(lambda: detail(controller, agent).policy.active_name == "web")
    with agent.session() as talk:
        talk.send(agent.message())
        seen = [talk.read()]
        while seen[-1].acknowledged_sequence_num < agent.sequence:
            seen.append(talk.read())
        assert not any(one.HasField("policy_offer") for one in seen)


def test_what_was_rejected_is_not_offered_again_but_the_next_revision_is(controller: Running) -> None:
    agent = controller.agent()
    first = controller.core.editing.publish_text("default", policy_text(), "anna")
    with agent.session() as talk:
        offer = talk.offer()
        rejection = link_pb2.PolicyRejection(policy=offer.policy, reason="it speaks semantics 2")
        talk.send(agent.message(policy=link_pb2.PolicyStatus(offered=offer.policy, rejected=rejection)))
        wait_until(lambda: detail(controller, agent).policy.rejected_revision == first.revision)
    with agent.session() as talk:
        message = talk.read()
        assert not message.HasField("policy_offer")
        second = controller.core.editing.publish_text("default", policy_text(), "anna")
        assert talk.offer().policy.revision == second.revision
    assert detail(controller, agent).policy.rejected_reason == "it speaks semantics 2"


def test_answers_wait_for_an_endpoint_that_is_away(controller: Running) -> None:
    agent, core = controller.agent(), controller.core
    chain = Chain(agent.id)
    for number in range(2):
        chain.add(opened(f"inc-{number}", core.clock()))
        chain.add(pack(f"pack-{number}", f"inc-{number}", core.clock()))
    with agent.stub() as stub:
        stub.PushEvents(chain.push(), timeout=WAIT_S)
    core.approvals.approve("pack-0", "anna")
    core.approvals.deny("pack-1", "otto", "not now")
    for _ in range(2):  # until it is confirmed, each session is told
        with agent.session() as talk:
            message = talk.read_until(lambda one: one if one.grants else None)
            assert message is not None
            assert incident_pb2.Grant.FromString(message.grants[0].payload).pack_id == "pack-0"
            assert [(one.pack_id, one.by, one.reason) for one in message.denials] == [("pack-1", "otto", "not now")]


def test_the_older_of_two_sessions_of_one_agent_ends(controller: Running) -> None:
    agent = controller.agent()
    with agent.session() as older:
        older.read()
        with agent.session() as newer:
            newer.read()
            assert older.status() is grpc.StatusCode.OK
            newer.send(agent.message())
            sent = agent.sequence
            newer.read_until(lambda one: one.acknowledged_sequence_num == sent)
    assert verbs(controller, agent) == ["enrol"]


def test_a_gap_in_the_numbers_asks_for_everything(controller: Running) -> None:
    agent = controller.agent()
    with agent.session() as talk:
        talk.read()
        agent.sequence += 5
        talk.send(agent.message())
        sent = agent.sequence
        answer = talk.read_until(lambda one: one if one.acknowledged_sequence_num == sent else None)
        assert answer is not None
        assert answer.report_full_state
        talk.send(agent.hello())
        sent = agent.sequence
        answer = talk.read_until(lambda one: one if one.acknowledged_sequence_num == sent else None)
        assert answer is not None
        assert not answer.report_full_state


def test_a_clone_is_refused_by_the_second_session_and_the_other_goes_on(controller: Running) -> None:
    agent = controller.agent()
    with agent.session() as talk:
        talk.read()
    clone = Agent(controller, agent.keys, agent.enrolled, agent.token, agent.sequence)  # the image is copied
    with agent.session() as talk:
        talk.read()
        talk.send(agent.message())
        talk.read()
        with clone.session() as copied:
            assert copied.status() is grpc.StatusCode.PERMISSION_DENIED
        talk.send(agent.message())
        sent = agent.sequence
        talk.read_until(lambda one: one.acknowledged_sequence_num == sent)
    assert verbs(controller, agent) == ["suspect-clone", "enrol"]


def test_a_clone_is_known_after_a_restart_and_readmission_forgets(tmp_path: Path) -> None:
    first = Running(build(tmp_path / "data"))
    agent = first.agent()
    with agent.session() as talk:
        talk.read()
    copied = agent.token
    with agent.session() as talk:
        talk.read()
        talk.send(agent.message())
        talk.read()
    first.stop()
    second = Running(build(tmp_path / "data"))
    clone = Agent(second, agent.keys, agent.enrolled, copied, agent.sequence)
    with clone.session() as talk:
        assert talk.status() is grpc.StatusCode.PERMISSION_DENIED
    second.core.standings.readmit(agent.id, "anna", "it is the right one")
    with clone.session() as talk:
        assert talk.read().acknowledged_sequence_num
    second.stop()


def test_a_revoked_endpoint_is_cut_off_and_stays_out(controller: Running) -> None:
    agent = controller.agent()
    with agent.session() as talk:
        talk.read()
        controller.core.standings.revoke(agent.id, "anna", "sold")
        assert talk.status() is grpc.StatusCode.PERMISSION_DENIED
    with agent.session() as talk:
        assert talk.status() is grpc.StatusCode.PERMISSION_DENIED
    with agent.stub() as stub, pytest.raises(grpc.RpcError) as refused:
        stub.PushEvents(link_pb2.PushEventsRequest(instance_uid=agent.id), timeout=WAIT_S)
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_new_labels_bring_another_policy_at_once(controller: Running) -> None:
    agent, core = controller.agent(), controller.core
    for role in ("web", "db"):
        core.editing.publish_text("default", policy_text(role, f"{{role: {role}}}"), "anna")
    with agent.session(role="web") as talk:
        assert talk.offer().policy.name == "web"
        talk.send(agent.hello(role="db"))
        assert talk.offer().policy.name == "db"
    wait_until(lambda: detail(controller, agent).view.labels.get("role") == "db")
