"""The published policies as they go out: each serialised once, whoever gets it.

Invariant: the bytes of an offer are made when the policy is published, not when a session takes it.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from homeostat.policy import Selector
from homeostat.wire.v1 import link_pb2, policy_pb2
from homeostat_controller.policies import assignment
from homeostat_controller.store import policies
from homeostat_controller.store.database import Database


@dataclass(frozen=True, slots=True)
class Offer:
    """A policy on its way. `message` is a serialized ControllerMessage that holds the offer and nothing else.

    Further fields are appended to it: protobuf reads concatenated messages as one.
    """

    name: str
    revision: int
    sha256: bytes
    message: bytes


@dataclass(frozen=True, slots=True)
class Board:
    """Every published policy, for assignment and for sending."""

    candidates: tuple[assignment.Candidate, ...] = ()
    offers: Mapping[bytes, Offer] | None = None

    def offer(self, organisation_id: str, labels: Mapping[str, str]) -> Offer | None:
        """Return what an endpoint with these labels should run, None when no policy selects it."""
        chosen = assignment.choose(self.candidates, organisation_id, labels)
        return None if chosen is None else (self.offers or {})[chosen.sha256]


class BoardReader:
    """Reads the board after each publication and hands it on, in the order of the publications."""

    def __init__(self, database: Database, taken: Callable[[Board], None]) -> None:
        self._database = database
        self._taken = taken
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Read what is published now and hand it on. Called in the thread that published."""
        # Under the lock, so that a board read earlier cannot be handed on later.
        with self._lock:
            with self._database.read() as connection:
                published = policies.published(connection)
            self._taken(board(published))


def board(published: tuple[policies.PublishedBytes, ...]) -> Board:
    """Return the board of these policies."""
    return Board(tuple(map(_candidate, published)), {one.sha256: _offer(one) for one in published})


def _candidate(one: policies.PublishedBytes) -> assignment.Candidate:
    policy = policy_pb2.Policy.FromString(one.compiled)
    selector = Selector({match.key: tuple(match.values) for match in policy.selector.matches})
    return assignment.Candidate(one.organisation_id, one.name, one.revision, one.sha256, selector, policy.priority)


def _offer(one: policies.PublishedBytes) -> Offer:
    ref = link_pb2.PolicyRef(name=one.name, revision=one.revision, sha256=one.sha256)
    signed = policy_pb2.Signed.FromString(one.signed)
    message = link_pb2.ControllerMessage(policy_offer=link_pb2.PolicyOffer(policy=ref, signed=signed))
    return Offer(one.name, one.revision, one.sha256, message.SerializeToString())
