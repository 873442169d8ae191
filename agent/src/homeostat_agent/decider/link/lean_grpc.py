"""Loads grpcio without asyncio and ssl, which its unused asynchronous half would bring in: 3 to 4 MB of the decider.

grpcio's core names a few of asyncio's classes when it is loaded, and never again unless its asynchronous half is used.
While it loads, a stand-in gives it empty classes of those names; afterwards the stand-ins are gone, and whoever imports
asyncio gets the real one.
"""

import importlib
import sys
from types import ModuleType

_STANDS_IN_FOR = ("asyncio", "grpc.aio")


class _StandIn(ModuleType):
    """A module in which every name is an exception class of that name, so that it can be a base class too."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {})


def load() -> None:
    """Load grpcio, unless it or asyncio is there already: then nothing would be saved."""
    if "grpc" in sys.modules or "asyncio" in sys.modules:
        return
    for name in _STANDS_IN_FOR:
        sys.modules[name] = _StandIn(name)
    try:
        grpc = importlib.import_module("grpc")
    finally:
        for name in _STANDS_IN_FOR:
            sys.modules.pop(name, None)
    if isinstance(getattr(grpc, "aio", None), _StandIn):
        del grpc.aio
