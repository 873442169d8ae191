import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.actuator_rig import ENDPOINT_ID, Signer, incident, policy, subject
from fakes.actuator_runs import NUMBERS
from homeostat.budget import History, PastRun
from homeostat.decision import Act, decide
from homeostat.diagnosis import FaultClass
from homeostat.evidence import SignalKind
from homeostat.exception_pack import Grant
from homeostat.incident import Incident
from homeostat.outcome import Ending
from homeostat.policy import SEMANTICS_VERSION, Budget, Level, Limits, Policy, Selector, Waiver
from homeostat.policy_merge import effective
from homeostat.wire.policies import policy_to_wire
from homeostat_agent import trust
from homeostat_agent.actuator.authority import Authority, Permit
from homeostat_agent.actuator.database import open_database
from homeostat_agent.actuator.enrolment import Enrolment
from homeostat_agent.actuator.order import No, Wish
from homeostat_agent.actuator.policy_store import PolicyStore
from homeostat_agent.verification import Kind, Refused, Verified, verify_in_child

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
WEB = subject("service", "web")
CRASH = incident(WEB)
NOTHING = History()


def verify(kind: Kind, signed: bytes, trusted_keys: bytes) -> Verified | Refused:
    """Check as the child does, without the child."""
    return trust.verify(kind, signed, trusted_keys)


@dataclass
class Desk:
    """An authority with everything around it that a test may change."""

    connection: sqlite3.Connection
    signer: Signer = field(default_factory=Signer)
    labels: dict[str, str] = field(default_factory=lambda: {"role": "web"})
    endpoint_id: str = ENDPOINT_ID
    used: set[bytes] = field(default_factory=set)
    trusted: bytes = b""

    def __post_init__(self) -> None:
        self.trusted = self.signer.trusted_keys()
        self.authority = self.another()

    def another(self) -> Authority:
        """Return an authority as a restarted actuator would have it."""
        return Authority(PolicyStore(self.connection), verify, self.enrolment, self.used.__contains__)

    def enrolment(self) -> Enrolment:
        return Enrolment(self.endpoint_id, self.labels, self.trusted)

    def use(self, offered: Policy) -> str:
        """Offer a policy; return why it was refused, or nothing."""
        verdict = self.authority.use_policy(self.signer.policy(offered).SerializeToString())
        assert verdict.accepted is not bool(verdict.reason)
        return verdict.reason

    def permit(self, wish: Wish, history: History = NOTHING, now: datetime = NOW) -> Permit | No:
        return self.authority.permit(wish, history, now)

    def grant(self, **changes: object) -> bytes:
        made = Grant("pack-1", ENDPOINT_ID, CRASH.id, "restart", b"s" * 32, b"p" * 32, 1, "me", NOW + LATER, b"nonce")
        return self.signer.grant(replace(made, **changes)).SerializeToString()  # type: ignore[arg-type]  # the fields are named by the caller


LATER = timedelta(hours=1)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    connection = open_database(tmp_path / "journal.db")
    yield Desk(connection)
    connection.close()


def wish(about: Incident = CRASH, playbook: str = "restart", grant: bytes = b"") -> Wish:
    return Wish("run-1", about, playbook, grant)


def code(answer: Permit | No) -> str:
    return answer.code if isinstance(answer, No) else "permitted"


# What becomes of an offered policy.


def test_a_signed_policy_for_this_endpoint_counts_from_now_on(desk: Desk) -> None:
    assert code(desk.permit(wish())) == "no-policy"
    assert desk.use(policy()) == ""
    assert code(desk.permit(wish())) == "permitted"
    assert len(desk.authority.policy_sha256) == 32


def test_a_policy_is_remembered_over_a_restart(desk: Desk) -> None:
    desk.use(policy())
    again = desk.another()
    assert again.policy_sha256 == b""
    again.restore()
    assert again.policy_sha256 == desk.authority.policy_sha256
    assert code(again.permit(wish(), NOTHING, NOW)) == "permitted"


def test_a_kept_policy_is_verified_anew_when_the_keys_have_changed(desk: Desk) -> None:
    desk.use(policy())
    desk.trusted = Signer().trusted_keys()
    again = desk.another()
    again.restore()
    assert again.policy_sha256 == b""
    assert code(again.permit(wish(), NOTHING, NOW)) == "no-policy"


def test_nothing_to_restore_is_nothing(desk: Desk) -> None:
    desk.authority.restore()
    assert desk.authority.policy_sha256 == b""


def test_a_policy_by_an_unknown_key_changes_nothing(desk: Desk) -> None:
    desk.use(policy())
    before = desk.authority.policy_sha256
    verdict = desk.authority.use_policy(Signer().policy(policy(2)).SerializeToString())
    assert (verdict.accepted, verdict.sha256) == (False, b"")
    assert desk.authority.policy_sha256 == before
    assert code(desk.permit(wish())) == "permitted"


@pytest.mark.parametrize("signed", [b"", b"\xff\xff", b"\x0a\x00"])
def test_what_is_not_signed_is_refused(desk: Desk, signed: bytes) -> None:
    assert not desk.authority.use_policy(signed).accepted


def test_a_stripped_signature_is_refused(desk: Desk) -> None:
    signed = desk.signer.policy(policy())
    del signed.signatures[:]
    assert not desk.authority.use_policy(signed.SerializeToString()).accepted


def test_a_signed_grant_is_no_policy(desk: Desk) -> None:
    signed = desk.signer.sign("grant", policy_to_wire(policy()).SerializeToString())
    assert not desk.authority.use_policy(signed.SerializeToString()).accepted


@pytest.mark.parametrize("payload", [b"\xff\xff\xff", b"\x0a\x04test"])
def test_signed_nonsense_is_refused_with_its_digest(desk: Desk, payload: bytes) -> None:
    verdict = desk.authority.use_policy(desk.signer.sign("policy", payload).SerializeToString())
    assert not verdict.accepted
    assert len(verdict.sha256) == 32


def test_a_policy_for_other_endpoints_is_refused(desk: Desk) -> None:
    assert "does not select" in desk.use(policy(selector=Selector({"role": ("db",)})))
    assert desk.use(policy(selector=Selector({"role": ("db", "web")}))) == ""


def test_a_policy_of_later_semantics_is_refused(desk: Desk) -> None:
    assert "semantics" in desk.use(policy(semantics=SEMANTICS_VERSION + 1))


def test_a_policy_with_problems_is_refused_with_the_first(desk: Desk) -> None:
    broken = policy()
    assert "the first: " in desk.use(replace(broken, rules=(broken.rules[0], broken.rules[0])))


def test_revisions_only_rise(desk: Desk) -> None:
    assert desk.use(policy(5)) == ""
    assert "older than 5" in desk.use(policy(4))
    assert desk.use(policy(5)) == ""  # the same again
    assert "another content" in desk.use(policy(5, description="changed"))
    assert desk.use(policy(6)) == ""


def test_the_floor_holds_for_each_name_and_over_restarts(desk: Desk) -> None:
    desk.use(policy(5))
    assert desk.use(replace(policy(2), name="other")) == ""
    desk.authority = desk.another()
    assert "older than 5" in desk.use(policy(4))


# What may be done.


def test_what_the_policy_delegates_is_permitted_with_all_it_needs(desk: Desk) -> None:
    desk.use(policy())
    found = desk.permit(wish())
    assert isinstance(found, Permit)
    order = found.order
    assert (order.run_id, order.incident_id, order.subject) == ("run-1", CRASH.id, WEB)
    assert (order.rule, order.playbook.name, order.numbers) == ("restart-it", "restart", NUMBERS)
    assert (order.pack_id, order.nonce, found.grant) == ("", b"", None)


@pytest.mark.parametrize(
    ("level", "expected"), [(Level.OBSERVE, "level"), (Level.SHADOW, "level"), (Level.ASK, "level")]
)
def test_a_lower_level_does_not_permit(desk: Desk, level: Level, expected: str) -> None:
    desk.use(policy(level=level))
    answer = desk.permit(wish())
    assert isinstance(answer, No)
    assert (answer.code, answer.rule) == (expected, "restart-it")


def test_another_playbook_than_the_one_decided_here_is_refused(desk: Desk) -> None:
    desk.use(policy())
    for playbook in ("end", "clean", "no-such", ""):
        assert code(desk.permit(wish(playbook=playbook))) == "decided-otherwise"


def test_an_incident_that_no_rule_covers_is_refused(desk: Desk) -> None:
    desk.use(policy())
    assert code(desk.permit(wish(incident(WEB, FaultClass.CONFIG_BROKEN, SignalKind.FILE_INVALID)))) == "no-rule"


def test_an_incident_without_direct_evidence_is_refused(desk: Desk) -> None:
    desk.use(policy())
    bare = replace(CRASH, evidence=replace(CRASH.evidence, signals=()))
    assert code(desk.permit(wish(bare))) == "no-direct-evidence"


def test_an_incident_of_another_endpoint_is_refused(desk: Desk) -> None:
    desk.use(policy())
    assert code(desk.permit(wish(replace(CRASH, endpoint_id="endpoint-2")))) == "other-endpoint"


def test_labels_that_the_decider_claims_count_for_nothing(desk: Desk) -> None:
    rules = tuple(replace(rule, selector=Selector({"role": ("db",)})) for rule in policy().rules)
    desk.use(policy(rules=rules))
    assert code(desk.permit(wish(replace(CRASH, labels={"role": "db"})))) == "no-rule"


def test_a_budget_used_up_in_our_own_journal_is_used_up(desk: Desk) -> None:
    desk.use(policy(limits=Limits(Budget(1, timedelta(hours=1)), Budget(9, LATER), Budget(9, LATER))))
    past = PastRun("restart", WEB, FaultClass.SERVICE_DOWN, "restart-it", NOW - timedelta(minutes=1), Ending.HEALED)
    assert code(desk.permit(wish())) == "permitted"
    assert code(desk.permit(wish(), History((past,)))) == "action-budget"


def test_waivers_and_expiry_count_at_the_moment_of_the_wish(desk: Desk) -> None:
    waiver = Waiver("w", "me", "why", ("restart-it",), Level.OBSERVE, NOW + LATER)
    desk.use(policy(waivers=(waiver,), not_after=NOW + 2 * LATER))
    assert code(desk.permit(wish())) == "level"
    assert code(desk.permit(wish(), now=NOW + LATER)) == "permitted"
    assert code(desk.permit(wish(), now=NOW + 2 * LATER)) == "level"


def test_a_repair_of_another_kind_of_subject_is_refused(desk: Desk) -> None:
    made = policy()
    everything = replace(made.rules[0], subjects=("*",))
    desk.use(replace(made, rules=(everything, *made.rules[1:])))
    assert code(desk.permit(wish(incident(subject("folder", "web"))))) == "no-playbook"


# What a person's yes adds.


def test_an_approval_permits_what_the_policy_asks_about(desk: Desk) -> None:
    desk.use(policy(level=Level.ASK))
    found = desk.permit(wish(grant=desk.grant()))
    assert isinstance(found, Permit)
    assert found.grant is not None
    assert (found.order.pack_id, found.order.nonce) == ("pack-1", b"nonce")


def test_an_approval_does_not_permit_what_the_policy_only_watches(desk: Desk) -> None:
    for revision, level in ((1, Level.OBSERVE), (2, Level.SHADOW)):
        desk.use(policy(revision, level=level))
        assert code(desk.permit(wish(grant=desk.grant(policy_revision=revision)))) == "level"


def test_an_approval_of_another_playbook_than_decided_here_is_refused(desk: Desk) -> None:
    desk.use(policy(level=Level.ASK))
    assert code(desk.permit(wish(playbook="end", grant=desk.grant(playbook="end")))) == "level"


@pytest.mark.parametrize("level", [Level.ASK, Level.ACT])
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"endpoint_id": "endpoint-2"}, "grant-other"),
        ({"incident_id": "incident-2"}, "grant-other"),
        ({"playbook": "end"}, "grant-other"),
        ({"policy_revision": 2}, "policy-changed"),
        ({"not_after": NOW}, "grant-expired"),
        ({"nonce": b"spent"}, "grant-used"),
    ],
)
def test_an_approval_that_does_not_fit_is_refused_even_where_none_is_needed(
    desk: Desk, level: Level, changes: dict[str, object], expected: str
) -> None:
    desk.used.add(b"spent")
    desk.use(policy(level=level))
    answer = desk.permit(wish(grant=desk.grant(**changes)))
    assert isinstance(answer, No)
    assert (answer.code, answer.pack_id) == (expected, "pack-1")


def test_a_forged_approval_is_refused(desk: Desk) -> None:
    desk.use(policy(level=Level.ASK))
    honest = desk.grant()
    for forged in (
        b"\x0a\x01x",
        honest[:-1] + bytes([honest[-1] ^ 1]),
        Signer().sign("grant", b"x").SerializeToString(),
    ):
        assert code(desk.permit(wish(grant=forged))) == "grant-unverified"


def test_before_enrolment_no_approval_counts(desk: Desk) -> None:
    desk.use(policy(level=Level.ASK))
    desk.endpoint_id = ""
    assert code(desk.permit(wish(grant=desk.grant()))) == "not-enrolled"


# Proposals.


def test_a_proposal_is_made_of_the_policy_s_own_playbooks(desk: Desk) -> None:
    assert isinstance(desk.authority.playbook("restart"), No)
    desk.use(policy())
    found = desk.authority.playbook("restart")
    assert not isinstance(found, No)
    assert found[0].name == "restart"
    assert isinstance(desk.authority.playbook("no-such"), No)


# A hostile decider.

WISHES = st.builds(
    lambda name, fault, playbook, confidence, endpoint, labels: wish(
        replace(incident(name, fault), confidence=confidence, endpoint_id=endpoint, labels=labels), playbook
    ),
    st.sampled_from([WEB, subject("process", "web"), subject("folder", "x"), subject("service", "../etc")]),
    st.sampled_from(list(FaultClass)),
    st.sampled_from(["restart", "end", "clean", "", "x", "restart_service"]),
    st.floats(0.0, 1.0),
    st.sampled_from([ENDPOINT_ID, "endpoint-2"]),
    st.dictionaries(st.sampled_from(["role", "site"]), st.sampled_from(["web", "db"])),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WISHES, st.sampled_from(list(Level)))
def test_whatever_is_wished_only_what_is_decided_here_is_permitted(desk: Desk, asked: Wish, level: Level) -> None:
    made = policy(int(level), level=level)
    desk.connection.execute("DELETE FROM policy_floor")
    desk.use(made)
    answer = desk.permit(asked)
    decided = decide(asked.incident, effective(made, desk.labels, NOW), NOTHING, NOW)
    if isinstance(answer, Permit):
        assert isinstance(decided, Act)
        assert decided.playbook == asked.playbook == answer.order.playbook.name
        assert asked.incident.endpoint_id == ENDPOINT_ID


# The real way to verify, held to the same.


def test_the_child_process_verifies_alike(tmp_path: Path) -> None:
    signer = Signer()
    connection = open_database(tmp_path / "journal.db")
    trusted = Enrolment(ENDPOINT_ID, {"role": "web"}, signer.trusted_keys())
    authority = Authority(PolicyStore(connection), verify_in_child, lambda: trusted, lambda _nonce: False)
    assert authority.use_policy(signer.policy(policy()).SerializeToString()).accepted
    assert not authority.use_policy(Signer().policy(policy(2)).SerializeToString()).accepted
    assert code(authority.permit(wish(), NOTHING, NOW)) == "permitted"
    connection.close()
