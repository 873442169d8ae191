"""Load gRPC without asyncio, for the one process where that counts: the decider, which only makes blocking calls.

`import grpc` brings in its asyncio half and asyncio with it, some 3.5 MB that would never be used. Stand-ins take their
place while it is loaded. Only the decider's own program may ask for this, before anything has loaded gRPC: in a process
that uses grpc.aio, that would be missing.
"""

import importlib
import sys
from types import ModuleType

_ABSENT = ("asyncio", "grpc.aio")


def load() -> bool:
    """Load gRPC without its asyncio half; return False, and load nothing, where it or asyncio is loaded already."""
    if any(name in sys.modules for name in (*_ABSENT, "grpc")):
        return False
    sys.modules.update({name: ModuleType(name) for name in _ABSENT})
    try:
        importlib.import_module("grpc")
    finally:
        # asyncio itself stays to be had by whoever does need it.
        del sys.modules["asyncio"]
    return True
