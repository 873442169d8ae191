"""SHA-256 over facts and bytes: one way to write facts down, so that equal facts and only they have equal digests.

OpenSSL, which hashlib loads, would take 3.6 MB of a process that needs nothing else of it; CPython has its own.
"""

try:
    from _sha256 import sha256 as _sha256  # type: ignore[import-not-found,unused-ignore]  # CPython 3.11; has no stub
except ImportError:  # later ones, and other interpreters
    from hashlib import sha256 as _sha256

Part = str | int | bool | None


def sha256(content: bytes) -> bytes:
    """Return the SHA-256 of some bytes."""
    return bytes(_sha256(content).digest())


def facts_digest(*parts: Part) -> bytes:
    """Return the digest of a list of facts; their types and order count, and no two lists are written alike."""
    written = [f"{type(part).__name__}:{part}".encode() for part in parts]
    return sha256(b"".join(len(one).to_bytes(4, "big") + one for one in written))
