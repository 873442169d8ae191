"""From text to a published revision: draft, check, sign, store, offer.

Invariant: a text with problems changes nothing anywhere; a published revision is signed, stored and audited in one
transaction, and offered only after its commit.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sqlalchemy import Connection

from homeostat.policy import Policy
from homeostat.wire.policies import policy_to_wire
from homeostat_controller.clock import Clock
from homeostat_controller.errors import Conflict, ControllerError, Invalid, NotFound
from homeostat_controller.metrics import Metrics
from homeostat_controller.policies.signing import POLICY_TAG, Signer
from homeostat_controller.store import audit, policies
from homeostat_controller.store.database import Database
from homeostat_controller.store.identifiers import NAME

TEXT_CHARACTERS_MAX = 256 << 10
# An offer travels whole inside a control message of 1 MiB.
POLICY_BYTES_MAX = 256 << 10


class Compiled(Protocol):
    """A checked text: the policy, or None where problems leave none; each problem reads as a sentence."""

    @property
    def policy(self) -> Policy | None:
        """The policy of the text."""

    @property
    def problems(self) -> Sequence[object]:
        """What is wrong, each with its line and column."""


Compile = Callable[[str], Compiled]


@dataclass(frozen=True, slots=True)
class PolicyKey:
    """A policy by its organisation and name."""

    organisation_id: str
    name: str

    @property
    def pair(self) -> tuple[str, str]:
        """The key as the store takes it."""
        return self.organisation_id, self.name


@dataclass(frozen=True, slots=True)
class Published:
    """What was published. `sha256` is the hash of the signed payload."""

    key: PolicyKey
    revision: int
    sha256: bytes


class PolicyRefused(ControllerError):  # noqa: N818  # it is an answer
    """The text has problems; nothing was changed."""

    def __init__(self, problems: Sequence[object]) -> None:
        count = len(problems)
        super().__init__(f"the policy has {count} problem{'' if count == 1 else 's'}: {problems[0]}")
        self.problems = tuple(problems)


class Editing:
    """Drafts and publications. Thread-safe; `published` is called after each commit that changes what is published."""

    def __init__(
        self, database: Database, clock: Clock, signer: Signer, compile_text: Compile, metrics: Metrics
    ) -> None:
        self._database = database
        self._clock = clock
        self._signer = signer
        self._compile = compile_text
        self._metrics = metrics
        self._published: Callable[[], None] = lambda: None

    def on_published(self, call: Callable[[], None]) -> None:
        """Set what is called after each commit that changes what is published."""
        self._published = call

    def check(self, text: str) -> Compiled:
        """Compile a text without keeping it.

        Raises Invalid where it is too long to be looked at.
        """
        if len(text) > TEXT_CHARACTERS_MAX:
            raise Invalid(f"the policy has {len(text)} characters; {TEXT_CHARACTERS_MAX} are allowed")
        return self._compile(text)

    def save_draft(self, key: PolicyKey, text: str, actor: str) -> Compiled:
        """Keep a text as the policy's draft, problems and all; return what checking it says.

        Raises Invalid.
        """
        if not NAME.fullmatch(key.name):
            raise Invalid("a policy's name has lower-case letters, digits, '.', '_' and '-'")
        compiled = self.check(text)
        with self._database.write() as connection:
            draft_id = policies.save_draft(connection, key.pair, text, actor, self._clock())
            self._audit(connection, key, audit.Act(actor, "save-draft", "policy", key.name, {"draft": draft_id}))
        return compiled

    def discard_draft(self, key: PolicyKey, actor: str) -> None:
        """Drop a policy's draft.

        Raises NotFound.
        """
        with self._database.write() as connection:
            policies.discard_draft(connection, key.pair)
            self._audit(connection, key, audit.Act(actor, "discard-draft", "policy", key.name))

    def publish(self, key: PolicyKey, actor: str) -> Published:
        """Publish a policy's draft.

        Raises NotFound without a draft, PolicyRefused for its problems, Conflict when it was changed meanwhile.
        """
        with self._database.read() as connection:
            draft = policies.draft(connection, key.pair)
        if draft is None:
            raise NotFound(f"the policy {key.name!r} has no draft to publish")
        policy = self._usable(draft.text)
        if policy.name != key.name:
            raise PolicyRefused((f"name: the text is named {policy.name!r}, the policy {key.name!r}",))
        with self._database.write() as connection:
            present = policies.draft(connection, key.pair)
            if present is None or present.id != draft.id:
                raise Conflict("the draft was changed while it was being published; look at it again")
            published = self._publish(connection, key, policy, (draft.id, actor))
        return self._announce(published)

    def publish_text(self, organisation_id: str, text: str, actor: str) -> Published:
        """Publish a text at once, under the name that it gives.

        Raises Invalid and PolicyRefused.
        """
        policy = self._usable(text)
        key = PolicyKey(organisation_id, policy.name)
        with self._database.write() as connection:
            draft_id = policies.save_draft(connection, key.pair, text, actor, self._clock())
            published = self._publish(connection, key, policy, (draft_id, actor))
        return self._announce(published)

    def withdraw(self, key: PolicyKey, actor: str) -> int:
        """Offer a policy to nobody any more; endpoints that run it keep it until they get another one.

        Returns the revision that was published. Raises NotFound.
        """
        with self._database.write() as connection:
            revision = policies.withdraw(connection, key.pair)
            self._audit(connection, key, audit.Act(actor, "withdraw", "policy", key.name, {"revision": revision}))
        self._published()
        return revision

    def _usable(self, text: str) -> Policy:
        compiled = self.check(text)
        if compiled.problems or compiled.policy is None:
            raise PolicyRefused(compiled.problems or ("the text holds no policy",))
        return compiled.policy

    def _publish(self, connection: Connection, key: PolicyKey, policy: Policy, draft: tuple[str, str]) -> Published:
        draft_id, actor = draft
        revision = policies.next_revision(connection)
        payload = policy_to_wire(replace(policy, revision=revision)).SerializeToString(deterministic=True)
        if len(payload) > POLICY_BYTES_MAX:
            raise PolicyRefused((f"the compiled policy has {len(payload)} bytes; {POLICY_BYTES_MAX} are allowed",))
        digest = hashlib.sha256(payload).digest()
        signed = self._signer.sign(POLICY_TAG, payload).SerializeToString()
        publication = policies.Publication(revision, payload, signed, digest, actor)
        policies.publish(connection, draft_id, publication, self._clock())
        detail = {"revision": revision, "sha256": digest.hex(), "signed_by": self._signer.key_id}
        self._audit(connection, key, audit.Act(actor, "publish", "policy", key.name, detail))
        return Published(key, revision, digest)

    def _announce(self, published: Published) -> Published:
        self._metrics.policies_published.inc()
        self._published()
        return published

    def _audit(self, connection: Connection, key: PolicyKey, act: audit.Act) -> None:
        audit.append(connection, replace(act, organisation_id=key.organisation_id), self._clock())
