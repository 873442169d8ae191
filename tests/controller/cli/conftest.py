"""The command line's tests share the controllers that serve."""

from fixtures_cli import homeostat
from fixtures_web import seen, switched, web

__all__ = ["homeostat", "seen", "switched", "web"]
