"""A stateful stand-in for the Stripe API, so that nothing here needs a Stripe account."""

from infra.local.stripe_stand_in.core import API_VERSION, StandIn
from infra.local.stripe_stand_in.wire import Request, Response

__all__ = ["API_VERSION", "Request", "Response", "StandIn"]
