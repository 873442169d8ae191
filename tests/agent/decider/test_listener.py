from fakes.decider_stage import ASK_IT, NOW, Stage, grant, policy
from homeostat.wire.packs import grant_to_wire
from homeostat.wire.v1 import link_pb2, policy_pb2
from homeostat_agent.decider.inbox import Denied, Granted, Inbox, NewPolicy
from homeostat_agent.decider.listener import Listener


def test_a_policy_comes_with_what_the_actuator_needs() -> None:
    inbox, signed = Inbox(), policy_pb2.Signed(payload=b"p")
    Listener(inbox).policy_accepted(policy(), signed)
    assert inbox.take(0) == NewPolicy(policy(), signed.SerializeToString())


def test_a_grant_is_read_and_passed_on_as_it_was_signed() -> None:
    inbox = Inbox()
    yes = grant(Stage(policy(ASK_IT)).pack(), NOW)
    signed = policy_pb2.Signed(payload=grant_to_wire(yes).SerializeToString())
    Listener(inbox).granted(signed)
    assert inbox.take(0) == Granted(yes, signed.SerializeToString())


def test_what_is_no_grant_goes_no_further() -> None:
    inbox = Inbox()
    for payload in (b"\xff\xff", b""):
        Listener(inbox).granted(policy_pb2.Signed(payload=payload))
    assert inbox.take(0) is None


def test_a_no_is_passed_on() -> None:
    inbox = Inbox()
    Listener(inbox).denied(link_pb2.Denial(pack_id="p", by="ada", reason="No."))
    assert inbox.take(0) == Denied("p", "ada", "No.")


def test_a_refused_policy_needs_nothing_here() -> None:
    inbox = Inbox()
    Listener(inbox).policy_rejected(link_pb2.PolicyRef(name="x"), "No.")
    assert inbox.take(0) is None
