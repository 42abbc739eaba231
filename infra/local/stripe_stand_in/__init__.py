"""A stateful stand-in for the Stripe API, so that nothing here needs a Stripe account."""

from .core import API_VERSION, StandIn
from .wire import Request, Response

__all__ = ["API_VERSION", "Request", "Response", "StandIn"]
