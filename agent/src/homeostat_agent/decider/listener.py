"""What the controller sends down, put into the inbox for the thread that decides."""

import logging

from google.protobuf.message import DecodeError

from homeostat.policy import Policy
from homeostat.wire.packs import grant_from_wire
from homeostat.wire.v1 import incident_pb2, link_pb2, policy_pb2
from homeostat.wire.values import WireError
from homeostat_agent.decider.inbox import Denied, Granted, Inbox, NewPolicy

log = logging.getLogger(__name__)


class Listener:
    """The link's LinkListener. Its calls come on the link's threads."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def policy_accepted(self, policy: Policy, signed: policy_pb2.Signed) -> None:
        """A policy was accepted and stored: decide by it from now on."""
        self._inbox.tell(NewPolicy(policy, signed.SerializeToString()))

    def policy_rejected(self, ref: link_pb2.PolicyRef, reason: str) -> None:
        """An offered policy was refused; the link has recorded and told it."""

    def granted(self, signed: policy_pb2.Signed) -> None:
        """A person approved an exception pack. Here it is only read; the actuator verifies it."""
        try:
            grant = grant_from_wire(incident_pb2.Grant.FromString(signed.payload))
        except (DecodeError, WireError) as error:
            log.warning("event=grant-unreadable reason=%r", str(error))
            return
        self._inbox.tell(Granted(grant, signed.SerializeToString()))

    def denied(self, denial: link_pb2.Denial) -> None:
        """A person denied an exception pack."""
        self._inbox.tell(Denied(denial.pack_id, denial.by, denial.reason))
