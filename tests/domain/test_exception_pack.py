from datetime import timedelta

from domain_values import DOWN, NOW

from homeostat.catalogue import Risk
from homeostat.decision import Ask, Reason, ReasonCode
from homeostat.exception_pack import ExceptionPack, Grant
from homeostat.plan import Plan, RestartService

ASK = Ask("restart", Reason(ReasonCode.LEVEL, "restart-services", "Rule restart-services is at level ask."))
PLAN = Plan((RestartService("web"),), (), bytes(32), "It answers.")
LATER = NOW + timedelta(hours=1)


def test_a_pack_holds_what_a_person_needs_to_decide() -> None:
    pack = ExceptionPack("p1", DOWN, ASK, "web", 7, Risk.MEDIUM, PLAN, "It cannot be undone.", NOW, LATER)
    assert pack.decision.playbook == "restart"
    assert pack.expires_at > pack.created_at


def test_a_grant_names_one_plan_on_one_endpoint() -> None:
    grant = Grant("p1", "e1", "i1", "restart", bytes(32), bytes(32), 7, "anna", LATER, b"once")
    assert grant != Grant("p1", "e2", "i1", "restart", bytes(32), bytes(32), 7, "anna", LATER, b"once")
