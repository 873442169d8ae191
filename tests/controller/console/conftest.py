"""The console's tests share the controllers that serve."""

from fixtures_web import seen, web

__all__ = ["seen", "web"]
