"""Where a request says whose it is: what an endpoint declares to be called with a customer token at all.

An object that belongs to a customer is looked up before its endpoint runs, and another customer's is not there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from chalicelib.api.operations import Call
from chalicelib.domain.customer_tokens import CustomerToken
from chalicelib.domain.errors import ForbiddenError, NotFoundError

_REFUSED: Final = "The customer token is another customer's."


@dataclass(frozen=True, slots=True)
class Whose:
    """How the customer of a request is found; `kind` and `object_id` tell of the object that belongs to it, if any."""

    customer_of: Callable[[Call[Any, Any]], str | None]
    kind: str = ""
    object_id: Callable[[Call[Any, Any]], str | None] = lambda _: None
    may_be_absent: bool = False

    def require(self, call: Call[Any, Any], token: CustomerToken) -> None:
        """Nothing, if the request is about the token's customer.

        Raises:
            ForbiddenError: It names another customer, or none.
            NotFoundError: It is about an object that is not there, or is another customer's.
        """
        named = self.customer_of(call)
        if named == token.customer_id or (named is None and self.may_be_absent):
            return
        object_id = self.object_id(call)
        if object_id is not None:
            raise NotFoundError(self.kind, object_id)
        raise ForbiddenError(_REFUSED)


# The lookups are imported late: every request comes by here, and few are about a subscription or a session.
def _subscriber(call: Call[Any, Any], subscription_id: str) -> str:
    from chalicelib.services.view_subscriptions import get_subscription  # noqa: PLC0415

    return get_subscription(call.ports, subscription_id).customer_id


def _buyer(call: Call[Any, Any], session_id: str) -> str:
    from chalicelib.services.view_subscriptions import get_checkout_session  # noqa: PLC0415

    return get_checkout_session(call.ports, session_id).customer_id


IN_PATH: Final = Whose(lambda call: call.path["customer_id"])
IN_QUERY: Final = Whose(lambda call: call.query.customer_id)
IN_BODY: Final = Whose(lambda call: call.body.customer_id)
OWN_UNLESS_NAMED: Final = Whose(lambda call: call.query.customer_id, may_be_absent=True)
SUBSCRIPTION: Final = Whose(
    lambda call: _subscriber(call, call.path["subscription_id"]),
    "subscription",
    lambda call: call.path["subscription_id"],
)
CHECKOUT_SESSION: Final = Whose(
    lambda call: _buyer(call, call.path["session_id"]),
    "checkout_session",
    lambda call: call.path["session_id"],
)
ORDER_OR_SUBSCRIPTION: Final = Whose(
    lambda call: (
        call.body.customer_id
        if call.body.subscription_id is None
        else _subscriber(call, call.body.subscription_id)
    ),
    "subscription",
    lambda call: call.body.subscription_id,
)
