import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from fixtures_link import real_now
from fixtures_tls import Authority
from hypothesis import given
from hypothesis import strategies as st

from fakes.link_controller import WAIT_S, Controller, abort, wait_until
from homeostat.wire.v1 import enrolment_pb2
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.link.channel import Connection, connect
from homeostat_agent.decider.link.identity import Identity, IdentityError, Validity, load_identity
from homeostat_agent.decider.link.pace import Surroundings
from homeostat_agent.decider.link.renewal import Renewal, renew, renewal_due

START = datetime(2026, 3, 1, tzinfo=UTC)


def loaded(config: AgentConfig) -> Identity:
    identity = load_identity(config)
    assert identity is not None
    return identity


@pytest.fixture
def channel(config: AgentConfig) -> Iterator[grpc.Channel]:
    identity = loaded(config)
    opened = connect(identity.link_address, identity.authority_pem, identity)
    yield opened
    opened.close()


@given(st.floats(-0.1, 0.1), st.floats(0.01, 1000))
def test_it_is_due_at_half_life_and_a_tenth_of_that(spread: float, hours: float) -> None:
    life = timedelta(hours=hours)
    due = renewal_due(Validity("uri", START, START + life), spread)
    assert START + life * 0.449 < due < START + life * 0.551


def test_a_new_certificate_for_the_same_key_takes_the_place_of_the_old(
    controller: Controller, config: AgentConfig, channel: grpc.Channel
) -> None:
    before = loaded(config)
    renew(config, before, channel)
    after = loaded(config)
    assert after.certificate_pem != before.certificate_pem
    assert (after.key_pem, after.endpoint_id) == (before.key_pem, before.endpoint_id)


def of_another_endpoint(controller: Controller) -> Callable[[enrolment_pb2.RenewResponse], None]:
    def edit(answer: enrolment_pb2.RenewResponse) -> None:
        answer.identity.certificate_pem = controller.authority.reissue(
            answer.identity.certificate_pem.encode(), "ep-2"
        ).decode()

    return edit


def of_another_authority(controller: Controller) -> Callable[[enrolment_pb2.RenewResponse], None]:
    def edit(answer: enrolment_pb2.RenewResponse) -> None:
        stranger = Authority()
        answer.identity.authority_pem = stranger.pem.decode()

    return edit


def that_lets_nobody_in(controller: Controller) -> Callable[[enrolment_pb2.RenewResponse], None]:
    def edit(answer: enrolment_pb2.RenewResponse) -> None:
        stranger = Authority()
        pem = stranger.reissue(answer.identity.certificate_pem.encode(), "ep-1")
        answer.identity.certificate_pem = pem.decode()
        answer.identity.authority_pem = (stranger.pem + controller.authority.pem).decode()

    return edit


def that_is_none(controller: Controller) -> Callable[[enrolment_pb2.RenewResponse], None]:
    return lambda answer: answer.identity.Clear()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (of_another_endpoint, "for another endpoint"),
        (of_another_authority, "does not come from the controller's authority"),
        (that_lets_nobody_in, "did not let this endpoint in"),
        (that_is_none, "cannot be read"),
    ],
)
def test_one_that_cannot_be_used_leaves_the_old_in_place(
    controller: Controller,
    config: AgentConfig,
    channel: grpc.Channel,
    spoil: Callable[[Controller], Callable[[enrolment_pb2.RenewResponse], None]],
    says: str,
) -> None:
    before = loaded(config)
    controller.edit_renewal = spoil(controller)
    with pytest.raises(IdentityError, match=says):
        renew(config, before, channel, candidate_timeout_s=0.5)
    assert loaded(config) == before


def test_a_controller_that_refuses_leaves_the_old_in_place(
    controller: Controller, config: AgentConfig, channel: grpc.Channel
) -> None:
    before = loaded(config)
    controller.next_time("Renew", abort(grpc.StatusCode.PERMISSION_DENIED, "not you"))
    with pytest.raises(IdentityError, match="refused: not you"):
        renew(config, before, channel)
    assert loaded(config) == before


class Watched:
    """A renewal with a clock that the test sets."""

    def __init__(self, config: AgentConfig, surroundings: Surroundings, hours: float) -> None:
        self.connection = Connection()
        self.renewed = threading.Event()
        later = replace(surroundings, now=lambda: real_now() + timedelta(hours=hours))
        self.renewal = Renewal(config, self.connection, later, self.renewed.set)

    def stop(self) -> None:
        self.renewal.stop(WAIT_S)
        self.connection.close()


@pytest.mark.parametrize(("hours", "due"), [(10.0, False), (14.0, True)])
def test_it_renews_by_itself_when_it_is_time(
    controller: Controller, config: AgentConfig, surroundings: Surroundings, hours: float, due: bool
) -> None:
    before = loaded(config)
    watched = Watched(config, surroundings, hours)
    watched.connection.open(before)
    watched.renewal.start()
    if due:
        assert watched.renewed.wait(WAIT_S)
        assert loaded(config).certificate_pem != before.certificate_pem
    else:
        wait_until(lambda: watched.renewal._watched == before.certificate_pem)
    watched.stop()
    assert watched.renewed.is_set() == due


def test_without_a_connection_or_an_identity_it_waits(
    controller: Controller, config: AgentConfig, surroundings: Surroundings
) -> None:
    watched = Watched(config, surroundings, 14.0)
    watched.renewal.start()
    wait_until(lambda: watched.renewal._watched)
    watched.stop()
    assert not watched.renewed.is_set()
