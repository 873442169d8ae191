"""The API's tests share the controllers that serve."""

from fixtures_web import seen, switched, web

__all__ = ["seen", "switched", "web"]
