"""The actuator: the only program that changes the endpoint. No network; it verifies everything on its own copy."""

import sys


def spare_openssl() -> None:
    """Have hashlib take CPython's own SHA-256 in this process; call it before anything imports hashlib.

    OpenSSL would be 3.5 MB of a process that needs nothing else of it.
    """
    if "hashlib" not in sys.modules:
        sys.modules["_hashlib"] = None  # type: ignore[assignment]  # None is how an import is forbidden
