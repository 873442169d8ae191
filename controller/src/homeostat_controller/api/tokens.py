"""The bearers of rights at the API: who a token speaks for, and the controller's own first one.

Invariant: the administrator's token stands in one file that only its owner can read; the store keeps a hash.
"""

import secrets

from homeostat_controller import key_files
from homeostat_controller.api.gate import Identity
from homeostat_controller.core import Core
from homeostat_controller.store import audit, tokens
from homeostat_controller.store.identifiers import new_id

ADMIN = "admin"
ADMIN_TOKEN_FILE = "admin.token"  # noqa: S105  # the name of a file, not a secret


def identity_of_token(core: Core, token: str) -> Identity | None:
    """Return who a live token speaks for. Scopes narrower than the administrator's have no rights yet."""
    with core.database.read() as connection:
        found = tokens.live_api_token(connection, token, core.clock())
    return Identity(found.name, found.scope, "token") if found is not None and found.scope == ADMIN else None


def ensure_admin_token(core: Core) -> bool:
    """Make the data folder's administrator token where it is missing or unknown to the store; say whether it was new.

    Raises KeyFileError when others can read the file.
    """
    path = core.settings.data_dir / ADMIN_TOKEN_FILE
    kept = key_files.load_or_create(path, lambda: secrets.token_urlsafe(32).encode())
    secret = kept.decode("ascii", "replace").strip()
    with core.database.write() as connection:
        if tokens.live_api_token(connection, secret, core.clock()) is not None:
            return False
        made = tokens.NewApiToken(new_id("api"), ADMIN, secret, ADMIN, "controller")
        tokens.add_api_token(connection, made, core.clock())
        audit.append(connection, audit.Act("controller", "create", "api-token", made.id), core.clock())
    return True
