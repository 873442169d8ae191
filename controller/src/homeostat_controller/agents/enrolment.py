"""A token becomes an identity: once, for one key, and for that key again if the answer was lost.

Invariant: of any number of simultaneous tries with one token exactly one makes an endpoint. A token shown again by
another key is stolen or copied: it and the endpoint it made are frozen, and a person decides.
"""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from homeostat.wire.v1 import enrolment_pb2, policy_pb2
from homeostat_controller.agents import cleaning, identity, join_tokens
from homeostat_controller.agents.authority import Authority, Issued, Request, read_request
from homeostat_controller.agents.standing import Standings
from homeostat_controller.clock import Clock
from homeostat_controller.errors import Conflict, ControllerError, Invalid
from homeostat_controller.store import audit, endpoint_changes, endpoints, organisations, tokens
from homeostat_controller.store.database import Database
from homeostat_controller.store.identifiers import new_id

NONCE_BYTES_LEAST = 16
NONCE_BYTES_MAX = 64
TOKEN_LIFE_LEAST = timedelta(seconds=10)
ENROLMENT = "enrolment"


class Refused(ControllerError):  # noqa: N818  # it is an answer
    """The endpoint is not let in. What the peer is told gives nothing away that it does not know."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """What an administrator wants: endpoints of which group (id or path), with which labels, for how long."""

    group: str = organisations.DEFAULT
    labels: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    valid_for: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class CreatedToken:
    """A new token. `text` is shown once and kept nowhere."""

    id: str
    text: str
    expires_at: datetime


@dataclass(slots=True)
class Addresses:
    """Where agents are told to go, as host:port; filled in when the listeners have their ports."""

    enrol: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """What enrolment works with."""

    database: Database
    clock: Clock
    authority: Authority
    standings: Standings
    trusted_keys: policy_pb2.TrustedKeys
    addresses: Addresses
    certificate_life: timedelta
    token_life_max: timedelta


@dataclass(frozen=True, slots=True)
class _Asked:
    """A checked request."""

    secret: bytes
    request: Request
    nonce_hash: str
    message: enrolment_pb2.EnrollRequest

    def redemption(self, endpoint_id: str) -> tokens.Redemption:
        return tokens.Redemption(self.request.public_key, self.nonce_hash, endpoint_id)


class Enrolment:
    """Makes tokens and turns them into identities. Thread-safe."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def create_token(self, wanted: TokenRequest, actor: str) -> CreatedToken:
        """Make a token.

        Raises NotFound for the group and Invalid for labels or a life out of bounds.
        """
        if not TOKEN_LIFE_LEAST <= wanted.valid_for <= self._desk.token_life_max:
            raise Invalid(f"a token may be valid for {TOKEN_LIFE_LEAST} to {self._desk.token_life_max}")
        kept = cleaning.labels(wanted.labels)
        if kept != dict(wanted.labels):
            raise Invalid(f"a label cannot be used: {', '.join(sorted(set(wanted.labels) - set(kept))) or 'a value'}")
        now, secret = self._desk.clock(), secrets.token_bytes(join_tokens.SECRET_BYTES)
        token_id, expires_at = new_id("tok"), now + wanted.valid_for
        with self._desk.database.write() as connection:
            group = organisations.group(connection, wanted.group)
            note = cleaning.text(wanted.note)
            tokens.add(connection, tokens.NewToken(token_id, secret, group.id, kept, note, actor, expires_at), now)
            detail = {"group": group.path, "labels": kept, "expires_at": expires_at.isoformat()}
            act = audit.Act(actor, "create", "enrolment-token", token_id, detail, group.organisation_id)
            audit.append(connection, act, now)
        contact = join_tokens.Contact(self._desk.authority.root_der, self._desk.addresses.enrol)
        return CreatedToken(token_id, join_tokens.write(secret, contact, expires_at), expires_at)

    def revoke_token(self, token_id: str, actor: str) -> None:
        """End an open token.

        Raises NotFound, and Conflict where it is not open any more.
        """
        now = self._desk.clock()
        with self._desk.database.write() as connection:
            status = tokens.get(connection, token_id, now).status
            if status != "open" or not tokens.set_status(connection, token_id, "open", "revoked"):
                raise Conflict(f"the token {token_id} is {status} already")
            audit.append(connection, audit.Act(actor, "revoke", "enrolment-token", token_id), now)

    def redeem(self, message: enrolment_pb2.EnrollRequest) -> enrolment_pb2.EnrollResponse:
        """Turn a token into an identity; the same key and nonce get the same endpoint again.

        Raises Invalid for what is no request and Refused for one that is not let in.
        """
        asked = _checked(message)
        frozen = ""
        with self._desk.database.write() as connection:
            token = tokens.by_secret(connection, asked.secret, self._desk.clock())
            if token is not None and _is_reuse(token, asked):
                frozen = self._freeze(connection, token)
            else:
                return self._admit(connection, token, asked)
        self._desk.standings.reload(frozen)
        raise Refused("this token was used by another key; it is frozen")

    def renew(self, peer: identity.Identity, csr_der: bytes) -> enrolment_pb2.RenewResponse:
        """Issue the next certificate of an endpoint that came with its present one, for the same key or a new one.

        Raises Invalid and Refused.
        """
        request = read_request(csr_der)
        with self._desk.database.write() as connection:
            holder = endpoints.by_public_key(connection, request.public_key)
            if holder is not None and holder.id != peer.endpoint_id:
                raise Refused("this key belongs to another endpoint")
            view = endpoints.get(connection, peer.endpoint_id).view
            issued = self._issue(request, view)
            self._record(connection, view.id, request, issued)
        return enrolment_pb2.RenewResponse(identity=self._identity(issued))

    def _freeze(self, connection: Connection, token: tokens.TokenView) -> str:
        endpoint_id = token.endpoint_id or ""
        tokens.set_status(connection, token.id, "redeemed", "frozen")
        reason = "its enrolment token was shown again by another key"
        act = audit.Act(ENROLMENT, "freeze", "endpoint", endpoint_id, {"token": token.id, "reason": reason})
        self._desk.standings.freeze_in(connection, endpoint_id, act)
        return endpoint_id

    def _admit(
        self, connection: Connection, token: tokens.TokenView | None, asked: _Asked
    ) -> enrolment_pb2.EnrollResponse:
        if token is None or token.status not in ("open", "redeemed"):
            raise Refused("this token is not valid (any more); ask for a new one")
        known = endpoints.by_public_key(connection, asked.request.public_key)
        if known is not None and known.standing != "active":
            raise Refused(f"this endpoint is {known.standing}; a person has to readmit it, or enrol it with a new key")
        if known is not None and known.group_id != token.group_id:
            raise Refused("this key is enrolled in another group; enrol with a new key")
        if token.status == "open":
            endpoint_id = known.id if known else new_id("ep")
            if not tokens.redeem(connection, token.id, asked.redemption(endpoint_id), self._desk.clock()):
                raise Refused("this token is not valid (any more); ask for a new one")
            if known is None:
                self._add(connection, token, endpoint_id, asked)
        elif token.nonce_hash != asked.nonce_hash:
            raise Refused("this token was used by this key with another nonce; ask for a new one")
        return self._answer(connection, token, asked)

    def _add(self, connection: Connection, token: tokens.TokenView, endpoint_id: str, asked: _Asked) -> None:
        group = organisations.group(connection, token.group_id)
        message, now = asked.message, self._desk.clock()
        said = {**cleaning.labels(message.labels), **token.labels, **_place(group)}
        # The certificate comes with the answer, in the same transaction.
        new = endpoint_changes.NewEndpoint(
            endpoint_id,
            group,
            cleaning.name(message.name or message.facts.hostname),
            said,
            cleaning.document(message.facts),
            endpoint_changes.Certificate(asked.request.public_key, "", now),
        )
        endpoint_changes.add(connection, new, now)
        detail = {"token": token.id, "name": new.name, "group": group.path, "key": asked.request.public_key}
        act = audit.Act(ENROLMENT, "enrol", "endpoint", endpoint_id, detail, group.organisation_id)
        audit.append(connection, act, now)

    def _answer(self, connection: Connection, token: tokens.TokenView, asked: _Asked) -> enrolment_pb2.EnrollResponse:
        known = endpoints.by_public_key(connection, asked.request.public_key)
        if known is None:
            raise Refused("this token is not valid (any more); ask for a new one")
        issued = self._issue(asked.request, known)
        self._record(connection, known.id, asked.request, issued)
        given = {**token.labels, **_place(organisations.group(connection, known.group_id))}
        return enrolment_pb2.EnrollResponse(
            endpoint_id=known.id,
            identity=self._identity(issued),
            trusted_keys=self._desk.trusted_keys,
            labels=given,
            link_address=self._desk.addresses.link,
        )

    def _issue(self, request: Request, view: endpoints.EndpointView) -> Issued:
        uri = identity.uri(view.organisation_id, view.site_id, view.group_id, view.id)
        return self._desk.authority.issue(request, uri, self._desk.certificate_life, self._desk.clock())

    def _record(self, connection: Connection, endpoint_id: str, request: Request, issued: Issued) -> None:
        certificate = endpoint_changes.Certificate(request.public_key, issued.serial, issued.not_after)
        endpoint_changes.set_certificate(connection, endpoint_id, certificate)

    def _identity(self, issued: Issued) -> enrolment_pb2.Identity:
        said = enrolment_pb2.Identity(certificate_pem=issued.pem, authority_pem=self._desk.authority.root_pem.decode())
        said.not_after.FromDatetime(issued.not_after)
        return said


def _checked(message: enrolment_pb2.EnrollRequest) -> _Asked:
    if not NONCE_BYTES_LEAST <= len(message.nonce) <= NONCE_BYTES_MAX:
        raise Invalid(f"the nonce must have {NONCE_BYTES_LEAST} to {NONCE_BYTES_MAX} bytes")
    nonce_hash = hashlib.sha256(message.nonce).hexdigest()
    return _Asked(join_tokens.secret_of(message.token), read_request(message.csr_der), nonce_hash, message)


def _is_reuse(token: tokens.TokenView, asked: _Asked) -> bool:
    return token.status == "redeemed" and token.public_key != asked.request.public_key


def _place(group: organisations.GroupView) -> dict[str, str]:
    return {"organisation": group.organisation, "site": group.site, "group": group.name}
