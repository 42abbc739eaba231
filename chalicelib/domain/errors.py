"""What can be wrong, in the domain's own words; `api.problems` alone gives each an HTTP status."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One fault of an input: `param` is its path inside the document, e.g. `prices[0].currency`."""

    param: str
    code: str
    detail: str


class DomainError(Exception):
    """The request can't be carried out; `code` is stable, `detail` is for people."""

    code: ClassVar[str]

    def __init__(self, detail: str, *, param: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.param = param


class NotFoundError(DomainError):
    """No such object."""

    code = "not_found"

    def __init__(self, kind: str, entity_id: str) -> None:
        super().__init__(f"No {kind} has the id {entity_id!r}.", param="id")
        self.kind = kind
        self.entity_id = entity_id


class InvalidError(DomainError):
    """The input contradicts the catalog's rules; `violations` names each place."""

    code = "invalid"

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(
            violations[0].detail
            if len(violations) == 1
            else f"{len(violations)} fields are invalid.",
            param=violations[0].param,
        )
        self.violations = tuple(violations)


def invalid(param: str, code: str, detail: str) -> InvalidError:
    """An `InvalidError` with a single violation."""
    return InvalidError([Violation(param=param, code=code, detail=detail)])


class AlreadyExistsError(DomainError):
    """An object of that id exists with other content."""

    code = "already_exists"


class VersionConflictError(DomainError):
    """The object changed since the caller read it; nothing was written."""

    code = "version_conflict"


class StateMovedError(DomainError):
    """The catalog is not what the caller's plan was made for; nothing was written. Plan again."""

    code = "state_moved"


class NothingToPublishError(DomainError):
    """The plan or add-on has no draft."""

    code = "nothing_to_publish"


class DraftExistsError(DomainError):
    """The plan or add-on has a draft that the operation would discard; say so, or publish it first."""

    code = "draft_exists"


class NotPublishedError(DomainError):
    """The plan or add-on has no published version to sell."""

    code = "not_published"


class ArchivedError(DomainError):
    """The object is archived and takes no changes and no new subscribers."""

    code = "archived"


class RevokedError(DomainError):
    """The grant was revoked and takes no changes."""

    code = "revoked"


class InUseError(DomainError):
    """The object can't be archived: something that is sold, or paid for, still needs it."""

    code = "in_use"


class SubscriptionExistsError(DomainError):
    """The customer already has a live subscription of the product; change that one instead."""

    code = "subscription_exists"

    def __init__(self, subscription_id: str, product_id: str) -> None:
        super().__init__(
            f"The customer already has the subscription {subscription_id!r} of the product "
            f"{product_id!r}; change it instead.",
            param="plan_id",
        )
        self.subscription_id = subscription_id


class SubscriptionEndedError(DomainError):
    """The subscription has ended: nothing about it can be changed any more; subscribe anew."""

    code = "subscription_ended"

    def __init__(self, subscription_id: str) -> None:
        super().__init__(f"The subscription {subscription_id!r} has ended; subscribe anew.")
        self.subscription_id = subscription_id


class WrongStateError(DomainError):
    """The subscription is in a state in which the operation has no meaning."""

    code = "wrong_state"


class NotSupportedError(DomainError):
    """Whoever bills the subscription is not able to do what was asked."""

    code = "not_supported"


class BillingNotReadyError(DomainError):
    """The plan is published but its prices have not reached the billing provider yet: try again soon."""

    code = "billing_not_ready"
    retry_after_seconds = 2


class BillingNotConfiguredError(DomainError):
    """The environment has no credentials for the billing provider."""

    code = "billing_not_configured"


class InvalidConnectStateError(DomainError):
    """The way back from connecting an account was used before, has expired, or was never given out."""

    code = "invalid_connect_state"


class ConnectRefusedError(DomainError):
    """The account was not connected: somebody declined, or the provider or this environment does not take it."""

    code = "connect_refused"


class ProviderUnavailableError(DomainError):
    """The provider could not answer now: retry after `retry_after_seconds`.

    `definite` is true when the provider itself answered with a server error, which it replays
    under the same idempotency key; false when the outcome of the call is unknown or it never ran.
    """

    code = "billing_provider_unavailable"

    def __init__(
        self, detail: str, *, retry_after_seconds: int = 5, definite: bool = False
    ) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds
        self.definite = definite


class BillingNotConnectedError(ProviderUnavailableError):
    """No account of the billing provider is connected (any more): it is away until somebody connects one."""

    code = "billing_not_connected"

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after_seconds=60)


class BillingKeyRejectedError(ProviderUnavailableError):
    """The provider does not take the environment's key (any more): nothing ran, and nothing will without another key.

    To callers it is the same as a provider that is away: nobody but the operator can do more than wait.
    """

    def __init__(self, detail: str) -> None:
        # By then whoever keeps the key has looked whether there is another one.
        super().__init__(detail, retry_after_seconds=30)


class ProviderRefusedError(DomainError):
    """The provider refused the request for good; repeating it unchanged can't help."""

    code = "billing_provider_refused"

    def __init__(self, detail: str, *, provider_code: str | None = None) -> None:
        super().__init__(detail)
        self.provider_code = provider_code


class StoreConflictError(DomainError):
    """Another writer was first: a condition of the commit failed and nothing was written."""

    code = "store_conflict"
    retry_after_seconds = 1


class StoreUnavailableError(DomainError):
    """The database did not answer or throttled the request; nothing is known to be written."""

    code = "store_unavailable"
    retry_after_seconds = 1


class BusyError(DomainError):
    """Another worker holds the lease on this entity; the work is retried."""

    code = "busy"
    retry_after_seconds = 5


class TooManyCheckoutsError(DomainError):
    """The customer began too many checkouts within a minute; nothing was opened."""

    code = "too_many_checkouts"

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class TooManyRequestsError(DomainError):
    """The caller sends requests faster than one may; nothing was done. Slow down and repeat it."""

    code = "too_many_requests"

    def __init__(self, detail: str, *, retry_after_seconds: int) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class InvalidSignatureError(DomainError):
    """A webhook delivery is not signed by the provider with a current secret, or is too old or too new."""

    code = "invalid_signature"


class MalformedEventError(DomainError):
    """A webhook delivery is signed but is no event of the provider."""

    code = "malformed_event"


class SigningNotConfiguredError(DomainError):
    """The environment has nothing to sign such tokens with."""

    code = "signing_not_configured"


class SigningUnavailableError(DomainError):
    """Whoever holds the signing key did not answer."""

    code = "signing_unavailable"
    retry_after_seconds = 1


class UnauthenticatedError(DomainError):
    """The request carries no valid API key or customer token."""

    code = "unauthenticated"


class ForbiddenError(DomainError):
    """The API key lacks the scope of this operation, or the customer token is for something else."""

    code = "forbidden"


class FeatureNotMeteredError(DomainError):
    """The feature is not metered: it has no usage that could be counted."""

    code = "feature_not_metered"


class UsageReportedByEventsError(DomainError):
    """The feature has a meter: its usage is computed from events, and nobody else counts it."""

    code = "usage_reported_by_events"


class ReservationExpiredError(DomainError):
    """The reservation has ended before it was used; what it held is free again."""

    code = "reservation_expired"


class ReservationSettledError(DomainError):
    """The reservation was committed or released before, and otherwise than is asked now."""

    code = "reservation_settled"


class IdempotencyKeyReusedError(DomainError):
    """The idempotency key was used for another request."""

    code = "idempotency_key_reused"


class IdempotencyKeyInUseError(DomainError):
    """A request with this idempotency key is still running."""

    code = "idempotency_key_in_use"
    retry_after_seconds = 1
