"""Identifiers: short, random, never used twice, safe in a URL, a certificate and a shell."""

import re
import secrets

# What people call organisations, sites, groups and policies. Kept narrow: it stands in certificates and file names.
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}", re.ASCII)


def new_id(kind: str) -> str:
    """Return a new identifier such as `ep-3f9a0c…`: the kind, then 80 random bits in hex."""
    return f"{kind}-{secrets.token_hex(10)}"
