"""Rotating session tokens: each message down carries a new one, each message up shows the newest the agent has.

Invariant: a token older than one that was shown before comes from a copy of the endpoint, for its owner would have the
newer one. A token is a rising number with a keyed hash over it and the endpoint's id, so nothing has to be looked up.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from homeostat_controller.clock import Clock

NUMBER_BYTES = 8
HASH_BYTES = 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shown:
    """A token that was shown: its number, 0 where the agent has none yet, or None for one that we never gave."""

    number: int | None


class SessionTokens:
    """Gives and reads tokens. The numbers rise with the clock, so that they rise over restarts too."""

    def __init__(self, key: bytes, clock: Clock) -> None:
        self._key = key
        self._clock = clock

    def next_number(self, last: int) -> int:
        """Return a number above `last`."""
        return max(last + 1, (self._clock() - _EPOCH) // timedelta(microseconds=1))

    def write(self, endpoint_id: str, number: int) -> bytes:
        """Return the token of this number for this endpoint."""
        raw = number.to_bytes(NUMBER_BYTES, "big")
        return raw + self._hash(endpoint_id, raw)

    def read(self, endpoint_id: str, token: bytes) -> Shown:
        """Return which token was shown."""
        if not token:
            return Shown(0)
        raw, digest = token[:NUMBER_BYTES], token[NUMBER_BYTES:]
        genuine = hmac.compare_digest(digest, self._hash(endpoint_id, raw))
        return Shown(int.from_bytes(raw, "big") if genuine and len(raw) == NUMBER_BYTES else None)

    def _hash(self, endpoint_id: str, raw: bytes) -> bytes:
        # Keyed BLAKE2: far cheaper here than HMAC, whose set-up in OpenSSL cost more than all else about a message.
        return hashlib.blake2b(endpoint_id.encode() + b"\0" + raw, key=self._key, digest_size=HASH_BYTES).digest()
