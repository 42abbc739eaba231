"""Operations on a running subscription."""

from typing import Annotated, Any

from chalice.app import Blueprint
from pydantic import Field

from chalicelib.api.http import Call, endpoint
from chalicelib.api.subscriptions import SubscriptionOut, from_domain
from chalicelib.api.wire import NoQuery, Revision, UtcInstant, Wire
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.subscription_ends import Ending, When
from chalicelib.domain.subscriptions import Subscription
from chalicelib.services.cancel_subscription import cancel_subscription
from chalicelib.services.drop_scheduled_change import drop_scheduled_change
from chalicelib.services.extend_trial import extend_trial
from chalicelib.services.pause_subscription import pause_subscription
from chalicelib.services.resume_subscription import resume_subscription

bp = Blueprint(__name__)

ExpectedVersion = Annotated[
    Revision | None,
    Field(description="The `version` that the caller saw; another one is a 409."),
]


class SubscriptionVersionIn(Wire):
    """Which version of the subscription the caller has seen."""

    expected_version: ExpectedVersion = None


class CancelIn(SubscriptionVersionIn):
    """When it ends."""

    effective: Annotated[When, Field(strict=False)]
    at: Annotated[UtcInstant | None, Field(strict=False, description="With `date` alone.")] = None


class ExtendTrialIn(SubscriptionVersionIn):
    """Until when the trial goes on."""

    trial_end: Annotated[UtcInstant, Field(strict=False)]


@endpoint(
    bp,
    "POST",
    "/subscriptions/{subscription_id}/cancel",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Cancel a subscription",
    body=CancelIn,
    answer=SubscriptionOut,
)
def post_cancel(call: Call[CancelIn, NoQuery]) -> SubscriptionOut:
    """It ends now, with its billing period, or at a date; until then it gives what it gives. Nothing is paid back."""
    wish = Ending(when=call.body.effective, at=call.body.at)
    held = cancel_subscription(
        call.ports, call.cause, _subscription_id(call), wish, call.body.expected_version
    )
    return _shown(call, held)


@endpoint(
    bp,
    "POST",
    "/subscriptions/{subscription_id}/resume",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Resume a subscription",
    body=SubscriptionVersionIn,
    answer=SubscriptionOut,
)
def post_resume(call: Call[SubscriptionVersionIn, NoQuery]) -> SubscriptionOut:
    """Its coming end is taken back, and if it is paused it goes on. One that has ended does not come back."""
    held = resume_subscription(
        call.ports, call.cause, _subscription_id(call), call.body.expected_version
    )
    return _shown(call, held)


@endpoint(
    bp,
    "POST",
    "/subscriptions/{subscription_id}/pause",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Pause a subscription",
    body=SubscriptionVersionIn,
    answer=SubscriptionOut,
)
def post_pause(call: Call[SubscriptionVersionIn, NoQuery]) -> SubscriptionOut:
    """Nothing is collected for it and it gives nothing, until it is resumed."""
    held = pause_subscription(
        call.ports, call.cause, _subscription_id(call), call.body.expected_version
    )
    return _shown(call, held)


@endpoint(
    bp,
    "POST",
    "/subscriptions/{subscription_id}/extend_trial",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Extend a trial",
    body=ExtendTrialIn,
    answer=SubscriptionOut,
)
def post_extend_trial(call: Call[ExtendTrialIn, NoQuery]) -> SubscriptionOut:
    """The trial goes on until this later instant, at most two years from its start."""
    body = call.body
    held = extend_trial(
        call.ports, call.cause, _subscription_id(call), body.trial_end, body.expected_version
    )
    return _shown(call, held)


@endpoint(
    bp,
    "DELETE",
    "/subscriptions/{subscription_id}/scheduled_change",
    scope=Scope.CUSTOMERS_WRITE,
    summary="Drop a scheduled change",
    body=SubscriptionVersionIn,
    answer=SubscriptionOut,
)
def delete_scheduled_change(call: Call[SubscriptionVersionIn, NoQuery]) -> SubscriptionOut:
    """Nothing waits for the subscription any more. Where nothing did, it is shown as it is."""
    held = drop_scheduled_change(
        call.ports, call.cause, _subscription_id(call), call.body.expected_version
    )
    return _shown(call, held)


def _subscription_id(call: Call[Any, Any]) -> str:
    return call.path["subscription_id"]


def _shown(call: Call[Any, Any], held: Subscription) -> SubscriptionOut:
    return from_domain(held.at(call.ports.clock.now()))
