"""A person's yes: verified, for exactly this plan on this endpoint under this policy, once, and not too late."""

from collections.abc import Callable
from datetime import datetime

from google.protobuf.message import DecodeError

from homeostat.exception_pack import Grant
from homeostat.plan import Plan
from homeostat.wire import packs, plans
from homeostat.wire.v1 import incident_pb2
from homeostat.wire.values import WireError
from homeostat_agent.actuator.order import No, Wish
from homeostat_agent.actuator.port import Verify
from homeostat_agent.verification import Refused


def read(signed: bytes, trusted_keys: bytes, verify: Verify) -> Grant | No:
    """Return the grant that was signed, or why there is none."""
    verified = verify("grant", signed, trusted_keys)
    if isinstance(verified, Refused):
        return No("grant-unverified", verified.reason)
    try:
        return packs.grant_from_wire(incident_pb2.Grant.FromString(verified.payload))
    except (DecodeError, WireError) as error:
        return No("grant-unverified", f"The approval cannot be read: {error}.")


def objection(grant: Grant, wish: Wish, endpoint_id: str, policy_revision: int, now: datetime) -> No | None:
    """Return why an approval is not for this wish, here and now."""
    pack = grant.pack_id
    mismatches = (
        (not endpoint_id, "not-enrolled", "This endpoint is not enrolled."),
        (grant.endpoint_id != endpoint_id, "grant-other", f"The approval of pack {pack} is for another endpoint."),
        (grant.incident_id != wish.incident.id, "grant-other", f"The approval of pack {pack} is for another incident."),
        (grant.playbook != wish.playbook, "grant-other", f"The approval of pack {pack} is for {grant.playbook}."),
        (
            grant.policy_revision != policy_revision,
            "policy-changed",
            f"The policy has changed since pack {pack} was made.",
        ),
        (now >= grant.not_after, "grant-expired", f"The approval of pack {pack} has expired."),
    )
    return next((No(code, sentence, pack_id=pack) for applies, code, sentence in mismatches if applies), None)


def used(grant: Grant, is_used: Callable[[bytes], bool]) -> No | None:
    """Return why an approval is used up, if it is."""
    if not is_used(grant.nonce):
        return None
    return No("grant-used", f"The approval of pack {grant.pack_id} was used before.", pack_id=grant.pack_id)


def changed(grant: Grant, plan: Plan) -> No | None:
    """Return what differs between the plan that was approved and the one made from fresh facts."""
    same = (plan.state_digest, plans.digest(plan)) == (grant.state_digest, grant.plan_digest)
    if same:
        return None
    sentence = f"The endpoint has changed since pack {grant.pack_id} was approved: the plan would be another one now."
    return No("state-changed", sentence, pack_id=grant.pack_id)
