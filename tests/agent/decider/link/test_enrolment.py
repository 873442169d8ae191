import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from fixtures_link import config_at, real_now, token
from fixtures_tls import Authority

from fakes.link_controller import Controller, abort
from homeostat.wire.v1 import enrolment_pb2, policy_pb2
from homeostat_agent.config import AgentConfig
from homeostat_agent.decider.link.enrolment import Applicant, Enrolled, EnrolmentError, enrol, parse_token
from homeostat_agent.decider.link.identity import load_identity

APPLICANT = Applicant("web-1", enrolment_pb2.EndpointFacts(hostname="web-1", cpus=2))


@pytest.fixture
def fresh(tmp_path: Path) -> AgentConfig:
    """The configuration of an endpoint that is not enrolled."""
    return config_at(tmp_path / "fresh")


def enrolled(config: AgentConfig, text: str, *, again: bool = False) -> Enrolled:
    return enrol(config, text, APPLICANT, real_now(), again=again)


def why_not(config: AgentConfig, text: str) -> str:
    with pytest.raises(EnrolmentError) as caught:
        enrolled(config, text)
    return str(caught.value)


def data(config: AgentConfig) -> Path:
    return Path(config.agent.data_dir)


def test_a_token_brings_an_identity_and_whom_to_trust(controller: Controller, fresh: AgentConfig) -> None:
    result = enrolled(fresh, f"  {token(controller)}\n")
    assert (result.endpoint_id, result.labels, result.lab) == ("ep-1", {"group": "web"}, True)
    assert result.link_address == controller.link_address
    assert result.certificate.uri.endswith("/endpoint/ep-1")
    identity = load_identity(fresh)
    assert identity is not None
    assert identity.endpoint_id == "ep-1"
    assert identity.authority_pem == controller.authority.pem
    keys = policy_pb2.TrustedKeys.FromString((data(fresh) / "trusted_keys.binpb").read_bytes())
    assert list(keys.ed25519_public_keys) == [controller.signer.public]


def test_the_actuator_gets_its_own_copies(controller: Controller, fresh: AgentConfig) -> None:
    enrolled(fresh, token(controller))
    actuator = Path(fresh.actuator.data_dir)
    assert (actuator / "trusted_keys.binpb").read_bytes() == (data(fresh) / "trusted_keys.binpb").read_bytes()
    endpoint = enrolment_pb2.EnrollResponse.FromString((actuator / "endpoint.binpb").read_bytes())
    assert (endpoint.endpoint_id, dict(endpoint.labels)) == ("ep-1", {"group": "web"})
    assert not endpoint.HasField("identity")


def test_only_its_owner_can_read_what_it_leaves(controller: Controller, fresh: AgentConfig) -> None:
    enrolled(fresh, token(controller))
    folder = data(fresh) / "identity"
    assert sorted(one.name for one in folder.iterdir()) == [
        "authority.pem",
        "certificate.pem",
        "endpoint.binpb",
        "key.pem",
    ]
    for one in (folder, *folder.iterdir()):
        assert stat.S_IMODE(one.stat().st_mode) & 0o077 == 0, one


def test_the_link_address_of_the_configuration_comes_first(controller: Controller, tmp_path: Path) -> None:
    config = config_at(tmp_path / "fresh", "elsewhere:8442")
    assert enrolled(config, token(controller)).link_address == "elsewhere:8442"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "begins with hst1:"),
        ("hst2:abc", "begins with hst1:"),
        ("hst1:" + "A" * 20_000, "begins with hst1:"),
        ("hst1:!!!", "damaged"),
        ("hst1:/w8P", "damaged"),
        ("hst1:ä", "damaged"),
        ("hst1:_w8P", "damaged"),
        ("hst1:", "incomplete"),
    ],
)
def test_what_is_no_token_is_refused_before_anything_is_done(fresh: AgentConfig, text: str, says: str) -> None:
    assert says in why_not(fresh, text)
    assert not data(fresh).exists()


def test_a_token_cut_anywhere_is_refused(controller: Controller) -> None:
    whole = token(controller)
    for length in range(len(whole)):
        with pytest.raises(EnrolmentError):
            parse_token(whole[:length], real_now())


def test_an_expired_token_says_when(controller: Controller, fresh: AgentConfig) -> None:
    assert "The join token expired at 20" in why_not(fresh, token(controller, hours=-1))


def test_a_second_enrolment_has_to_be_asked_for(controller: Controller, fresh: AgentConfig) -> None:
    enrolled(fresh, token(controller))
    key = (data(fresh) / "identity" / "key.pem").read_bytes()
    controller.tokens |= {b"second", b"third"}
    assert why_not(fresh, token(controller, secret=b"second")) == "This endpoint is enrolled already, as ep-1."
    for secret in (b"second", b"third"):
        assert enrolled(fresh, token(controller, secret=secret), again=True).endpoint_id == "ep-1"
        assert load_identity(fresh) is not None
    assert (data(fresh) / "identity" / "key.pem").read_bytes() != key


def test_a_damaged_identity_can_be_mended_by_enrolling(controller: Controller, fresh: AgentConfig) -> None:
    enrolled(fresh, token(controller))
    (data(fresh) / "identity" / "key.pem").unlink()
    controller.tokens.add(b"second")
    assert enrolled(fresh, token(controller, secret=b"second")).endpoint_id == "ep-1"


@pytest.mark.parametrize("after", [False, True], ids=["request lost", "answer lost"])
def test_a_try_that_broke_is_repeated_with_the_same_key_and_burns_no_token(
    controller: Controller, fresh: AgentConfig, after: bool
) -> None:
    controller.next_time("Enroll", abort(grpc.StatusCode.UNAVAILABLE, "Socket closed"), after=after)
    assert "cannot be reached" in why_not(fresh, token(controller))
    key = (data(fresh) / "identity.new" / "key.pem").read_bytes()
    assert load_identity(fresh) is None
    enrolled(fresh, token(controller))
    assert (data(fresh) / "identity" / "key.pem").read_bytes() == key


def test_enrolling_again_makes_a_new_key_unless_it_repeats_a_try(controller: Controller, fresh: AgentConfig) -> None:
    keys, first = [], token(controller)
    for text in (first, first, token(controller, secret=b"second")):
        controller.next_time("Enroll", abort(grpc.StatusCode.UNAVAILABLE, "Socket closed"))
        with pytest.raises(EnrolmentError):
            enrolled(fresh, text, again=True)
        keys.append((data(fresh) / "identity.new" / "key.pem").read_bytes())
    assert keys[0] == keys[1] != keys[2]


def test_a_used_token_is_refused_with_what_the_controller_says(controller: Controller, tmp_path: Path) -> None:
    enrolled(config_at(tmp_path / "one"), token(controller))
    assert "refused: this token was used by another key" in why_not(config_at(tmp_path / "two"), token(controller))
    assert "refused: this token is not valid" in why_not(config_at(tmp_path / "two"), token(controller, secret=b"no"))


def test_another_controller_than_the_tokens_is_not_believed(controller: Controller, fresh: AgentConfig) -> None:
    stranger = Authority()
    says = why_not(fresh, token(controller, authority_der=stranger.der))
    assert "does not come from the authority this endpoint trusts" in says
    assert controller.enrolments == {}


def test_an_authority_that_is_none_is_refused(controller: Controller, fresh: AgentConfig) -> None:
    assert "cannot be reached" in why_not(fresh, token(controller, authority_der=b"none"))


def test_an_address_where_nothing_listens_is_named(controller: Controller, fresh: AgentConfig) -> None:
    text = token(controller)
    controller.vanish()
    says = why_not(fresh, text)
    assert f"The controller at {controller.enrol_address} cannot be reached: nothing listens there." == says


def test_a_listener_without_tls_is_named(controller: Controller, fresh: AgentConfig) -> None:
    plain = grpc.server(ThreadPoolExecutor(1))
    port = plain.add_insecure_port("127.0.0.1:0")
    plain.start()
    says = why_not(fresh, token(controller, enrol_address=f"127.0.0.1:{port}"))
    plain.stop(None).wait()
    assert "what listens there does not speak TLS" in says


def test_another_port_of_the_controller_is_named(controller: Controller, fresh: AgentConfig) -> None:
    says = why_not(fresh, token(controller, enrol_address=controller.link_address))
    assert "the connection was closed" in says
    controller.next_time("Enroll", abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!"))
    assert "is it another port" in why_not(fresh, token(controller))


def without_keys(answer: enrolment_pb2.EnrollResponse) -> None:
    answer.trusted_keys.Clear()


def with_threshold_too_high(answer: enrolment_pb2.EnrollResponse) -> None:
    answer.trusted_keys.threshold = 2


def with_short_key(answer: enrolment_pb2.EnrollResponse) -> None:
    answer.trusted_keys.ed25519_public_keys[0] = b"short"


def without_certificate(answer: enrolment_pb2.EnrollResponse) -> None:
    answer.identity.Clear()


def with_other_authority(answer: enrolment_pb2.EnrollResponse) -> None:
    answer.identity.authority_pem = Authority().pem.decode()


def for_another_endpoint(answer: enrolment_pb2.EnrollResponse) -> None:
    answer.endpoint_id = "ep-2"


def without_link(answer: enrolment_pb2.EnrollResponse) -> None:
    answer.link_address = ""


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (without_keys, "no usable set of keys"),
        (with_threshold_too_high, "no usable set of keys"),
        (with_short_key, "no usable set of keys"),
        (without_certificate, "cannot be read"),
        (with_other_authority, "does not come from the controller's authority"),
        (for_another_endpoint, "do not name the same endpoint"),
        (without_link, "set controller.link"),
    ],
)
def test_an_answer_that_cannot_be_used_enrols_nothing(
    controller: Controller, fresh: AgentConfig, spoil: Callable[[enrolment_pb2.EnrollResponse], None], says: str
) -> None:
    controller.edit_enrolment = spoil
    assert says in why_not(fresh, token(controller))
    assert load_identity(fresh) is None
    assert not (data(fresh) / "trusted_keys.binpb").exists()


def test_a_folder_that_cannot_be_written_is_named(controller: Controller, fresh: AgentConfig) -> None:
    data(fresh).parent.mkdir()
    data(fresh).write_text("a file")
    assert str(data(fresh)) in why_not(fresh, token(controller))
