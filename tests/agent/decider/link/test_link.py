import base64
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import grpc
import pytest
from fixtures_link import QUICK, config_at, real_now, token
from fixtures_policies import offer, policy, signed_policy
from fixtures_signing import GRANT_TAG, Signer, signed
from fixtures_tls import Authority

from fakes.link_controller import WAIT_S, Context, Controller, abort, wait_until
from homeostat.policy import Policy
from homeostat.wire.v1 import enrolment_pb2, link_pb2, policy_pb2
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.link.channel import NotConnected
from homeostat_agent.decider.link.enrolment import Applicant, enrol
from homeostat_agent.decider.link.identity import identity_folder, trusted_keys_file
from homeostat_agent.decider.link.link import Link
from homeostat_agent.decider.link.pace import Surroundings
from homeostat_agent.decider.store.recorder import Recorder, Stores


class Listening:
    """What the rest of the decider was told, and an error to raise instead."""

    def __init__(self) -> None:
        self.policies: list[int] = []
        self.rejected: list[int] = []
        self.grants: list[policy_pb2.Signed] = []
        self.denials: list[str] = []
        self.fail: Exception | None = None

    def policy_accepted(self, policy: Policy, signed: policy_pb2.Signed) -> None:
        self.policies.append(policy.revision)

    def policy_rejected(self, ref: link_pb2.PolicyRef, reason: str) -> None:
        self.rejected.append(ref.revision)

    def granted(self, signed: policy_pb2.Signed) -> None:
        self.grants.append(signed)

    def denied(self, denial: link_pb2.Denial) -> None:
        self.denials.append(denial.pack_id)
        if self.fail is not None:
            raise self.fail


class Agent:
    """A link with what stands around it."""

    def __init__(self, config: AgentConfig, recorder: Recorder, surroundings: Surroundings) -> None:
        self.listener = Listening()
        self.recorder = recorder
        hello = link_pb2.Hello(agent_version="1.0", boot_id="boot", labels={"made": "up"})
        self.link = Link(config, recorder, self.listener, lambda: hello, surroundings)

    def append(self, *bodies: bytes) -> None:
        for body in bodies:
            self.recorder.submit(partial(append, body)).result(WAIT_S)
        self.link.outbox_changed()

    def waiting(self) -> int:
        return self.recorder.submit(lambda stores: stores.spool.state()).result(WAIT_S).records


def append(body: bytes, stores: Stores) -> int:
    return stores.spool.append(body, outcome=True)


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % n for n in range(start, start + count)]


Make = Callable[..., Agent]


@pytest.fixture
def make(recorder: Recorder, surroundings: Surroundings) -> Iterator[Make]:
    made: list[Agent] = []

    def build(config: AgentConfig, around: Surroundings = surroundings) -> Agent:
        agent = Agent(config, recorder, around)
        made.append(agent)
        agent.link.start()
        return agent

    yield build
    for agent in made:
        agent.link.stop()
    names = {one.name for one in threading.enumerate()}
    assert not names & {"link", "uplink", "renewal"}


def test_it_connects_and_says_what_it_is(controller: Controller, config: AgentConfig, make: Make) -> None:
    agent = make(config)
    agent.link.publish_state(link_pb2.EndpointState(health="ok"))
    wait_until(lambda: agent.link.connected)
    first = controller.messages[0]
    assert (first.instance_uid, first.hello.agent_version, first.hello.boot_id) == ("ep-1", "1.0", "boot")
    assert dict(first.hello.labels) == {"role": "web", "group": "web"}
    assert first.hello.next_event == 1
    wait_until(lambda: any(one.state.health == "ok" for one in controller.messages))


def test_a_policy_comes_down_and_its_status_goes_up(
    controller: Controller, config: AgentConfig, make: Make, signer: Signer
) -> None:
    agent = make(config)
    wait_until(lambda: agent.link.connected)
    controller.send(link_pb2.ControllerMessage(policy_offer=offer(signed_policy(policy(3), signer))))
    wait_until(lambda: agent.listener.policies == [3])
    wait_until(lambda: any(one.policy.active.revision == 3 for one in controller.messages))
    controller.send(link_pb2.ControllerMessage(policy_offer=offer(signed_policy(policy(4), Signer()))))
    wait_until(lambda: agent.listener.rejected == [4])
    wait_until(lambda: any(one.policy.rejected.policy.revision == 4 for one in controller.messages))
    # The refusal goes up as an event too, without anyone announcing it.
    wait_until(lambda: any(link_pb2.Event.FromString(one).HasField("policy_rejected") for one in controller.bodies))


def test_answers_to_packs_come_down_and_receipts_go_up_until_acknowledged(
    controller: Controller, config: AgentConfig, make: Make, signer: Signer
) -> None:
    agent = make(config)
    wait_until(lambda: agent.link.connected)
    grant = signed(GRANT_TAG, b"a grant", signer)
    controller.send(link_pb2.ControllerMessage(grants=[grant], denials=[link_pb2.Denial(pack_id="p-2")]))
    wait_until(lambda: agent.listener.denials == ["p-2"])
    assert agent.listener.grants == [grant]
    controller.acknowledges = False
    agent.link.send_receipt(link_pb2.Receipt(id="p-1", result="accepted"))
    wait_until(lambda: any(one.receipts for one in controller.messages))
    controller.vanish()
    controller.acknowledges = True
    seen = len(controller.messages)
    controller.start()
    wait_until(lambda: any(one.receipts for one in controller.messages[seen:]))


def test_with_the_controller_away_everything_waits_and_arrives_once_in_order(
    controller: Controller, config: AgentConfig, make: Make
) -> None:
    agent = make(config)
    agent.append(*numbered(5))
    wait_until(lambda: agent.waiting() == 0)
    for round_number in range(1, 4):
        controller.vanish()
        wait_until(lambda: not agent.link.connected)
        agent.append(*numbered(20, 5 + 20 * (round_number - 1)))
        assert agent.waiting() == 20
        controller.start()
        wait_until(lambda: agent.waiting() == 0)
    assert controller.bodies == numbered(65)
    assert controller.restarts == 0


def test_a_torn_push_while_the_session_goes_on_is_repeated(
    controller: Controller, config: AgentConfig, make: Make
) -> None:
    for after in (False, True):
        controller.next_time("PushEvents", abort(grpc.StatusCode.UNAVAILABLE, "Socket closed"), after=after)
    agent = make(config)
    agent.append(*numbered(30))
    wait_until(lambda: agent.waiting() == 0)
    assert controller.bodies == numbered(30)


def test_it_may_start_before_it_is_enrolled(
    controller: Controller, tmp_path: Path, make: Make, recorder: Recorder
) -> None:
    config = config_at(tmp_path / "fresh")
    agent = make(config)
    agent.append(*numbered(2))
    assert not agent.link.connected
    enrol(config, token(controller), Applicant("web-1", enrolment_pb2.EndpointFacts()), real_now())
    wait_until(lambda: agent.link.connected)
    wait_until(lambda: controller.bodies == numbered(2))


def test_where_streams_die_it_goes_on_over_single_calls(
    controller: Controller, config: AgentConfig, make: Make, surroundings: Surroundings
) -> None:
    controller.streams_allowed = False
    pace = replace(QUICK, stream_s_least=1.0, stream_s_most=1.5)
    agent = make(config, replace(surroundings, pace=pace))
    wait_until(lambda: agent.link.connected)
    assert controller.polls
    agent.append(*numbered(3))
    wait_until(lambda: controller.bodies == numbered(3))
    controller.streams_allowed = True
    wait_until(lambda: controller.messages)
    wait_until(lambda: agent.link.connected)


def test_streams_of_age_are_followed_by_others(
    controller: Controller, config: AgentConfig, make: Make, surroundings: Surroundings
) -> None:
    pace = replace(QUICK, stream_s_least=0.1, stream_s_most=0.2)
    agent = make(config, replace(surroundings, pace=pace))
    wait_until(lambda: len(controller.peers) >= 3)
    agent.append(*numbered(3))
    wait_until(lambda: controller.bodies == numbered(3))
    numbers = [one.sequence_num for one in controller.messages]
    assert numbers == sorted(set(numbers))


def test_asked_to_come_back_later_it_does(controller: Controller, config: AgentConfig, make: Make) -> None:
    agent = make(config)
    wait_until(lambda: agent.link.connected)
    message = link_pb2.ControllerMessage()
    message.settings.retry_after.FromSeconds(3000)
    controller.send(message)
    wait_until(lambda: not agent.link.connected)
    agent.append(b"kept")
    assert len(controller.peers) == 1
    assert agent.waiting() == 1


def test_a_restarted_agent_shows_the_token_it_had_last(controller: Controller, config: AgentConfig, make: Make) -> None:
    first = make(config)
    wait_until(lambda: len(controller.messages) >= 2)
    first.link.stop()
    shown = controller.messages[-1].session_token
    seen = len(controller.messages)
    make(config)
    wait_until(lambda: len(controller.messages) > seen)
    number = int(controller.messages[seen].session_token.removeprefix(b"token-"))
    assert number >= int(shown.removeprefix(b"token-") or b"0")
    assert controller.messages[seen].hello.agent_version == "1.0"


def test_an_error_of_the_listener_costs_one_session(controller: Controller, config: AgentConfig, make: Make) -> None:
    agent = make(config)
    wait_until(lambda: agent.link.connected)
    agent.listener.fail = ZeroDivisionError("a mistake elsewhere")
    controller.send(link_pb2.ControllerMessage(denials=[link_pb2.Denial(pack_id="p-1")]))
    wait_until(lambda: len(controller.peers) >= 2)
    wait_until(lambda: agent.link.connected)


def test_content_is_fetched_while_there_is_a_connection(
    controller: Controller, config: AgentConfig, make: Make, tmp_path: Path
) -> None:
    content = b"a model"
    controller.artifacts[sha256(content).digest()] = content
    agent = make(config)
    wait_until(lambda: agent.link.connected)
    assert agent.link.fetch_artifact(sha256(content).digest(), tmp_path).read_bytes() == content
    agent.link.stop()
    with pytest.raises(NotConnected):
        agent.link.fetch_artifact(bytes(32), tmp_path)


# Hostile or broken peers: nothing is told to them, nothing is taken from them, and the link keeps looking.


def of_another_authority(config: AgentConfig) -> None:
    (identity_folder(config) / "authority.pem").write_bytes(Authority().pem)


def with_a_damaged_identity(config: AgentConfig) -> None:
    (identity_folder(config) / "key.pem").write_bytes(b"damaged")


def without_trusted_keys(config: AgentConfig) -> None:
    trusted_keys_file(config).unlink()


def without_a_key(config: AgentConfig) -> None:
    (identity_folder(config) / "key.pem").unlink()


@pytest.mark.parametrize("spoil", [of_another_authority, with_a_damaged_identity, without_trusted_keys, without_a_key])
def test_a_peer_that_cannot_be_trusted_gets_nothing_and_mended_it_connects(
    controller: Controller,
    config: AgentConfig,
    make: Make,
    spoil: Callable[[AgentConfig], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    data = Path(config.agent.data_dir)
    sound = shutil.copytree(data, data.with_name("sound"))
    spoil(config)
    agent = make(config)
    agent.append(b"kept")
    wait_until(lambda: sum("event=" in one.message for one in caplog.records) >= 3)
    assert not agent.link.connected
    assert controller.messages == []
    assert controller.polls == []
    assert controller.pushes == []
    shutil.rmtree(data)
    sound.rename(data)
    wait_until(lambda: controller.bodies == [b"kept"])


def test_a_listener_without_tls_gets_nothing(config: AgentConfig, make: Make, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    plain = grpc.server(ThreadPoolExecutor(1))
    port = plain.add_insecure_port("127.0.0.1:0")
    plain.start()
    elsewhere = replace(config, controller=replace(config.controller, link=f"127.0.0.1:{port}"))
    agent = make(elsewhere)
    wait_until(lambda: sum("does not speak TLS" in one.message for one in caplog.records) >= 2)
    assert not agent.link.connected
    agent.link.stop()
    plain.stop(None).wait()


def test_oversize_messages_cost_one_session_each(controller: Controller, config: AgentConfig, make: Make) -> None:
    agent = make(config)

    def in_session(number: int) -> bool:
        return len(controller.peers) == number and agent.link.connected

    for number in (1, 2, 3):
        wait_until(partial(in_session, number))
        controller.send(link_pb2.ControllerMessage(session_token=bytes(2 << 20)))
    wait_until(lambda: len(controller.peers) == 4)
    assert all(len(one.session_token) < 100 for one in controller.messages)


def test_a_silent_controller_does_not_hold_up_the_end(controller: Controller, config: AgentConfig, make: Make) -> None:
    reached, release = threading.Event(), threading.Event()

    def hang(_: Context) -> None:
        reached.set()
        release.wait(WAIT_S)

    controller.next_time("Session", hang)
    agent = make(config)
    assert reached.wait(WAIT_S)
    agent.link.stop()
    assert not agent.link.connected
    release.set()


def test_no_secret_is_logged(
    controller: Controller, tmp_path: Path, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    config = config_at(tmp_path / "fresh")
    text = token(controller)
    enrol(config, text, Applicant("web-1", enrolment_pb2.EndpointFacts()), real_now())
    agent = make(config)
    wait_until(lambda: agent.link.connected)
    agent.link.stop()
    key = (identity_folder(config) / "key.pem").read_text()
    shown = "".join(one.getMessage() for one in caplog.records)
    for secret in (text, "secret", base64.b64encode(b"secret").decode(), key.splitlines()[1], "token-1"):
        assert secret not in shown
