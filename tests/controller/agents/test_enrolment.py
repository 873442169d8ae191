"""A token becomes one identity: under concurrency, after a lost answer, against a thief; on both databases."""

import base64
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from fixtures_identities import Keys

from fakes.moved_clock import MovedClock
from homeostat.wire.v1 import enrolment_pb2
from homeostat_controller.agents import authority as authorities
from homeostat_controller.agents import identity
from homeostat_controller.agents.enrolment import Addresses, Desk, Enrolment, Refused, TokenRequest
from homeostat_controller.agents.standing import Standings
from homeostat_controller.errors import Conflict, Invalid, NotFound
from homeostat_controller.policies import signing
from homeostat_controller.store import audit, endpoints, organisations, tokens
from homeostat_controller.store.audit import AuditFilter
from homeostat_controller.store.conditions import Filter
from homeostat_controller.store.database import Database
from homeostat_controller.store.paging import PageRequest

HOUR = timedelta(hours=1)


class Office:
    """Everything enrolment needs, and whom it froze."""

    def __init__(self, database: Database, clock: MovedClock, folder: Path) -> None:
        self.frozen: list[str] = []
        self.database = database
        self.clock = clock
        self.authority = authorities.load_or_create(folder / "authority", clock())
        self.standings = Standings(database, clock, lambda endpoint_id, _cause: self.frozen.append(endpoint_id))
        self.enrolment = Enrolment(
            Desk(
                database=database,
                clock=clock,
                authority=self.authority,
                standings=self.standings,
                trusted_keys=signing.load_or_create(folder).trusted_keys(),
                addresses=Addresses("one.example:8441", "one.example:8442"),
                certificate_life=timedelta(hours=24),
                token_life_max=timedelta(days=7),
            )
        )

    def token(self, group: str = "default", **labels: str) -> str:
        return self.enrolment.create_token(TokenRequest(group, labels), "anna").text

    def fleet(self) -> list[endpoints.EndpointView]:
        with self.database.read() as connection:
            return list(endpoints.list_page(connection, Filter(), PageRequest(500)).items)

    def verbs(self) -> list[str]:
        with self.database.read() as connection:
            acts = audit.list_page(connection, AuditFilter(actor="enrolment"), PageRequest()).items
        return [one.verb for one in acts]

    def token_status(self) -> str:
        with self.database.read() as connection:
            return tokens.list_page(connection, "", PageRequest(), self.clock()).items[0].status


@pytest.fixture
def office(database: Database, clock: MovedClock, tmp_path: Path) -> Office:
    return Office(database, clock, tmp_path)


def test_an_answer_has_identity_keys_and_where_to_go(office: Office) -> None:
    keys = Keys()
    answer = office.enrolment.redeem(keys.request(office.token(role="web"), tier="gold", role="mine"))
    assert answer.link_address == "one.example:8442"
    assert answer.trusted_keys.lab
    assert len(answer.trusted_keys.ed25519_public_keys) == answer.trusted_keys.threshold == 1
    assert dict(answer.labels) == {"role": "web", "organisation": "default", "site": "default", "group": "default"}
    certificate = x509.load_pem_x509_certificate(answer.identity.certificate_pem.encode())
    assert certificate.public_key() == keys.key.public_key()
    named = identity.of_certificate(answer.identity.certificate_pem.encode())
    assert named.endpoint_id == answer.endpoint_id
    (view,) = office.fleet()
    assert (view.id, view.name, view.os) == (answer.endpoint_id, "web-1", "debian")
    assert view.labels == {**dict(answer.labels), "tier": "gold"}  # the token's word counts over the agent's


def test_two_hundred_keys_with_one_token_make_exactly_one_identity(office: Office) -> None:
    token, all_keys = office.token(), [Keys() for _ in range(200)]
    requests = [keys.request(token) for keys in all_keys]
    answers: list[enrolment_pb2.EnrollResponse] = []
    refusals: list[Refused] = []

    def redeem(request: enrolment_pb2.EnrollRequest) -> None:
        try:
            answers.append(office.enrolment.redeem(request))
        except Refused as refused:
            refusals.append(refused)

    threads = [threading.Thread(target=redeem, args=(request,)) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(answers), len(refusals)) == (1, 199)
    (view,) = office.fleet()
    assert view.id == answers[0].endpoint_id
    assert view.standing == "frozen"  # a token in 200 hands was not kept well


def test_fifty_repeats_of_one_request_are_one_endpoint(office: Office) -> None:
    request = Keys().request(office.token())
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(office.enrolment.redeem(request).endpoint_id)) for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 50
    assert len(set(answers)) == len(office.fleet()) == 1
    assert office.verbs() == ["enrol"]


def test_the_same_key_with_another_nonce_is_refused_and_freezes_nobody(office: Office) -> None:
    keys, token = Keys(), office.token()
    office.enrolment.redeem(keys.request(token))
    with pytest.raises(Refused, match="nonce"):
        office.enrolment.redeem(Keys(keys.key, b"m" * 32).request(token))
    assert [one.standing for one in office.fleet()] == ["active"]


def test_a_second_key_freezes_the_token_and_the_endpoint_and_tells(office: Office) -> None:
    keys, token = Keys(), office.token()
    answer = office.enrolment.redeem(keys.request(token))
    with pytest.raises(Refused, match="used by another key"):
        office.enrolment.redeem(Keys().request(token))
    assert office.frozen == [answer.endpoint_id]
    assert office.standings.is_barred(answer.endpoint_id)
    assert office.token_status() == "frozen"
    assert office.verbs() == ["freeze", "enrol"]
    # Neither of the two gets anything more out of it.
    for again in (keys, Keys()):
        with pytest.raises(Refused):
            office.enrolment.redeem(again.request(token))
    office.standings.readmit(answer.endpoint_id, "anna", "the first one is right")
    assert not office.standings.is_barred(answer.endpoint_id)


def test_expired_revoked_and_unknown_tokens_are_refused_alike(office: Office) -> None:
    expired, revoked = office.token(), office.enrolment.create_token(TokenRequest(), "anna")
    office.enrolment.revoke_token(revoked.id, "anna")
    said = set()
    for token in (revoked.text, base64.urlsafe_b64encode(b"u" * 32).decode()):
        with pytest.raises(Refused) as refused:
            office.enrolment.redeem(Keys().request(token))
        said.add(str(refused.value))
    office.clock.advance(HOUR)
    with pytest.raises(Refused) as refused:
        office.enrolment.redeem(Keys().request(expired))
    assert said == {str(refused.value)}
    assert office.fleet() == []


def test_a_lost_answer_is_given_again_after_the_token_s_end(office: Office) -> None:
    request = Keys().request(office.token())
    first = office.enrolment.redeem(request)
    office.clock.advance(timedelta(days=2))
    assert office.enrolment.redeem(request).endpoint_id == first.endpoint_id


def test_a_key_that_comes_back_with_a_new_token_is_the_same_endpoint(office: Office) -> None:
    keys = Keys()
    first = office.enrolment.redeem(keys.request(office.token()))
    again = office.enrolment.redeem(Keys(keys.key, b"m" * 32).request(office.token()))
    assert again.endpoint_id == first.endpoint_id
    assert len(office.fleet()) == 1


def test_a_token_counts_in_its_own_group_only(office: Office) -> None:
    with office.database.write() as connection:
        organisations.add_group(connection, "acme/lyon/web", office.clock())
    keys = Keys()
    answer = office.enrolment.redeem(keys.request(office.token("acme/lyon/web")))
    assert (answer.labels["organisation"], answer.labels["site"]) == ("acme", "lyon")
    with pytest.raises(Refused, match="another group"):
        office.enrolment.redeem(Keys(keys.key, b"m" * 32).request(office.token()))


def test_a_revoked_endpoint_s_key_does_not_come_back(office: Office) -> None:
    keys = Keys()
    answer = office.enrolment.redeem(keys.request(office.token()))
    office.standings.revoke(answer.endpoint_id, "anna", "sold")
    with pytest.raises(Refused, match="revoked"):
        office.enrolment.redeem(Keys(keys.key, b"m" * 32).request(office.token()))


def test_labels_of_a_place_are_not_the_agent_s_to_say(office: Office) -> None:
    answer = office.enrolment.redeem(Keys().request(office.token(), site="elsewhere", **{"bad key": "x"}))
    assert answer.labels["site"] == "default"
    (view,) = office.fleet()
    assert (view.labels["site"], "bad key" in view.labels) == ("default", False)


@pytest.mark.parametrize(
    "change",
    [
        {"token": "not base64!"},
        {"token": ""},
        {"csr_der": b""},
        {"csr_der": b"x" * 9000},
        {"nonce": b""},
        {"nonce": b"n" * 15},
        {"nonce": b"n" * 65},
    ],
)
def test_what_is_no_request_costs_no_token(office: Office, change: dict[str, object]) -> None:
    token = office.token()
    request = Keys().request(token)
    for name, value in change.items():
        setattr(request, name, value)
    with pytest.raises((Invalid, Refused)):
        office.enrolment.redeem(request)
    assert office.token_status() == "open"
    assert office.enrolment.redeem(Keys().request(token)).endpoint_id


def test_tokens_have_bounds(office: Office) -> None:
    for life in (timedelta(seconds=1), timedelta(days=8)):
        with pytest.raises(Invalid, match="valid for"):
            office.enrolment.create_token(TokenRequest(valid_for=life), "anna")
    with pytest.raises(Invalid, match="label"):
        office.enrolment.create_token(TokenRequest(labels={"bad key": "x"}), "anna")
    with pytest.raises(NotFound):
        office.enrolment.create_token(TokenRequest(group="nowhere"), "anna")


def test_a_token_is_revoked_once(office: Office) -> None:
    made = office.enrolment.create_token(TokenRequest(note="demo"), "anna")
    office.enrolment.revoke_token(made.id, "anna")
    with pytest.raises(Conflict, match="revoked"):
        office.enrolment.revoke_token(made.id, "anna")
    with pytest.raises(NotFound):
        office.enrolment.revoke_token("tok-9", "anna")


def test_renewal_is_for_the_peer_s_own_endpoint(office: Office) -> None:
    first, second = Keys(), Keys()
    answer = office.enrolment.redeem(first.request(office.token()))
    office.enrolment.redeem(second.request(office.token()))
    peer = identity.of_certificate(answer.identity.certificate_pem.encode())
    office.clock.advance(timedelta(hours=12))
    renewed = office.enrolment.renew(peer, Keys().csr_der)
    again = identity.of_certificate(renewed.identity.certificate_pem.encode())
    assert (again.endpoint_id, again.not_after > peer.not_after) == (peer.endpoint_id, True)
    with pytest.raises(Refused, match="another endpoint"):
        office.enrolment.renew(peer, second.csr_der)
    with pytest.raises(Invalid):
        office.enrolment.renew(peer, b"nothing")


def test_no_secret_is_in_the_audit_log(office: Office) -> None:
    made = office.enrolment.create_token(TokenRequest(), "anna")
    office.enrolment.redeem(Keys().request(made.text))
    with office.database.read() as connection:
        acts = audit.list_page(connection, AuditFilter(), PageRequest()).items
        assert audit.verify(connection).problem == ""
    assert made.text not in str(acts)
