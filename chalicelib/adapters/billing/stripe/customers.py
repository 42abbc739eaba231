"""Customers and their subscriptions at Stripe.

One customer of ours gets one of Stripe's. Stripe has no unique field to rely on: search lags, an
email is not unique. So the creation's idempotency key keeps it single for a day
(https://docs.stripe.com/api/idempotent_requests), and from then on the link that the caller has
stored long before. A caller that crashes between the two and comes back only after a day leaves an
unused customer at Stripe, which costs nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import stripe

from chalicelib.adapters.billing.stripe.connection import PAGE_SIZE, Connection
from chalicelib.adapters.billing.stripe.errors import Benign, Effect, is_benign
from chalicelib.adapters.billing.stripe.subscriptions import EXPANSIONS, Json, subscription_of
from chalicelib.domain.billing import (
    ListedCustomer,
    ListedCustomers,
    ProviderCustomer,
    ProviderSubscription,
    ProviderSubscriptions,
)
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError, invalid

if TYPE_CHECKING:
    from stripe.params import (
        CustomerListParams,
        CustomerUpdateParams,
        SubscriptionItemListParams,
        SubscriptionListParams,
        SubscriptionRetrieveParams,
    )

_CUSTOMERS: Final = "customers"
_SUBSCRIPTIONS: Final = "subscriptions"
_GENERATIONS: Final = 4
# How far to look for a customer that a failed request may have made: no further than keys are kept.
_KEYS_LIVE_SECONDS: Final = 25 * 3600
_LOOK_AT_MOST: Final = 1000
_EXPANDED: "SubscriptionRetrieveParams" = {"expand": list(EXPANSIONS)}


class StripeCustomers:
    """The customers of one account."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    def ensure(self, metadata: Mapping[str, str], idempotency_key: str) -> ProviderCustomer:
        """Stripe has a living customer with this metadata, the same one for the same key.

        For a day Stripe answers with what it stored under the key, even if that was a server error
        or if the customer was deleted meanwhile. Then the next key of a fixed series is used: two
        workers that walk it meet at the same customer.
        """
        unavailable: ProviderUnavailableError | None = None
        for generation in range(_GENERATIONS):
            key = idempotency_key if generation == 0 else f"{idempotency_key}:{generation}"
            try:
                made = self._create(metadata, key)
            except ProviderUnavailableError as error:
                if not error.definite:
                    raise
                # Stripe failed; the customer may be there all the same.
                unavailable = error
                if (found := self._made_lately(metadata)) is not None:
                    return self._customer(found)
                continue
            present = self.get(made.id) if is_replayed(made) else self._customer(made)
            if present is not None and not present.deleted:
                return present
        raise unavailable or ProviderRefusedError("The customer is deleted again and again.")

    def _create(self, metadata: Mapping[str, str], idempotency_key: str) -> "stripe.Customer":
        return self._at.run(
            _CUSTOMERS,
            Effect.CREATE,
            lambda: self._at.v1.customers.create(
                {"metadata": dict(metadata)}, {"idempotency_key": idempotency_key}
            ),
        )

    def _made_lately(self, metadata: Mapping[str, str]) -> "stripe.Customer | None":
        since = int(self._at.clock.now().timestamp()) - _KEYS_LIVE_SECONDS

        def fetch(after: str | None) -> "stripe.ListObject[stripe.Customer]":
            params: CustomerListParams = {"created": {"gte": since}, "limit": PAGE_SIZE}
            if after is not None:
                params["starting_after"] = after
            return self._at.v1.customers.list(params)

        for found in islice(self._at.pages(_CUSTOMERS, fetch), _LOOK_AT_MOST):
            if found.to_dict().get("metadata") == dict(metadata):
                return found
        return None

    def update(self, billing_id: str, customer: Customer) -> None:
        """Stripe shows the customer's present name and email.

        One that we no longer have stays as Stripe has it: the SDK's types let neither be emptied.
        """
        params: CustomerUpdateParams = {}
        if customer.name is not None:
            params["name"] = customer.name
        if customer.email is not None:
            params["email"] = customer.email
        if params:
            self._at.run(
                _CUSTOMERS,
                Effect.SET,
                lambda: self._at.v1.customers.update(billing_id, params),
            )

    def get(self, billing_id: str) -> ProviderCustomer | None:
        """The customer; `deleted` if it was deleted, None if Stripe never had it."""
        found = self._at.attempt(
            _CUSTOMERS,
            Effect.READ,
            lambda: self._at.v1.customers.retrieve(billing_id),
            lambda error: is_benign(error, Benign.MISSING),
        )
        return None if found is None else self._customer(found)

    def everybody(self, cursor: str | None, limit: int) -> ListedCustomers:
        """See `CustomerSource`; newest first. Those who live by a test clock of Stripe's are not listed there.

        Raises `InvalidError` for a cursor that is nobody's.
        """
        params: CustomerListParams = {"limit": min(limit, PAGE_SIZE)}
        if cursor is not None:
            params["starting_after"] = cursor
        page = self._at.attempt(
            _CUSTOMERS,
            Effect.READ,
            lambda: self._at.v1.customers.list(params),
            lambda error: is_benign(error, Benign.MISSING, "starting_after"),
        )
        if page is None:
            detail = "The cursor is no customer there any more: begin without one."
            raise invalid("cursor", "bad_cursor", detail)
        return ListedCustomers(
            customers=tuple(
                listed
                for listed in (self._listed(found) for found in page.data)
                if not listed.customer.deleted
            ),
            next_cursor=page.data[-1].id if page.has_more and page.data else None,
        )

    def _listed(self, found: "stripe.Customer") -> ListedCustomer:
        value = found.to_dict()
        return ListedCustomer(
            customer=self._customer(found),
            email=value.get("email") or None,
            name=value.get("name") or None,
            currency=value.get("currency") or None,
        )

    def _customer(self, found: "stripe.Customer") -> ProviderCustomer:
        value = found.to_dict()
        return ProviderCustomer(
            billing_id=found.id,
            url=self._at.page_url(f"customers/{found.id}"),
            deleted=bool(value.get("deleted")),
            metadata=dict(value.get("metadata") or {}),
        )

    def subscriptions(self, customer_billing_id: str) -> tuple[ProviderSubscription, ...]:
        """All of its subscriptions, ended ones too; none if Stripe has no such customer."""

        def fetch(after: str | None) -> "stripe.ListObject[stripe.Subscription]":
            params: SubscriptionListParams = {
                "customer": customer_billing_id,
                "status": "all",
                "limit": PAGE_SIZE,
                "expand": [f"data.{name}" for name in EXPANSIONS],
            }
            if after is not None:
                params["starting_after"] = after
            return self._at.v1.subscriptions.list(params)

        found = self._at.pages(
            _SUBSCRIPTIONS,
            fetch,
            lambda error: is_benign(error, Benign.MISSING, "customer"),
        )
        return tuple(self._subscription(subscription) for subscription in found)

    def subscription(self, billing_id: str) -> ProviderSubscription | None:
        """The subscription as it is now, or None if Stripe has none of that id."""
        found = self._at.attempt(
            _SUBSCRIPTIONS,
            Effect.READ,
            lambda: self._at.v1.subscriptions.retrieve(billing_id, _EXPANDED),
            lambda error: is_benign(error, Benign.MISSING),
        )
        return None if found is None else self._subscription(found)

    def live_subscriptions(self, cursor: str | None) -> ProviderSubscriptions:
        """See `SubscriptionListing`; with the first ten items of each."""
        params: SubscriptionListParams = {"limit": PAGE_SIZE}
        if cursor is not None:
            params["starting_after"] = cursor
        page = self._at.run(
            _SUBSCRIPTIONS, Effect.READ, lambda: self._at.v1.subscriptions.list(params)
        )
        values = [found.to_dict(for_json=True) for found in page.data]
        return ProviderSubscriptions(
            subscriptions=tuple(
                self.translated(value, (value.get("items") or {}).get("data") or [])
                for value in values
            ),
            next_cursor=page.data[-1].id if page.has_more and page.data else None,
        )

    def mark(self, billing_id: str, metadata: Mapping[str, str]) -> None:
        """See `Marking`; Stripe merges metadata key by key."""
        self._at.run(
            _CUSTOMERS,
            Effect.SET,
            lambda: self._at.v1.customers.update(billing_id, {"metadata": dict(metadata)}),
        )

    def mark_subscription(self, billing_id: str, metadata: Mapping[str, str]) -> None:
        """See `Marking`."""
        self._at.run(
            _SUBSCRIPTIONS,
            Effect.SET,
            lambda: self._at.v1.subscriptions.update(billing_id, {"metadata": dict(metadata)}),
        )

    def subscription_with_items(self, billing_id: str) -> tuple[Json, list[Json]]:
        """The subscription as Stripe tells it, and all of its items."""
        found = self._at.run(
            _SUBSCRIPTIONS,
            Effect.READ,
            lambda: self._at.v1.subscriptions.retrieve(billing_id, _EXPANDED),
        )
        return self._with_items(found)

    def translated(self, value: Json, items: Sequence[Json]) -> ProviderSubscription:
        """The same in our words."""
        return subscription_of(value, items, self._at.page_url(f"subscriptions/{value['id']}"))

    def _subscription(self, found: "stripe.Subscription") -> ProviderSubscription:
        return self.translated(*self._with_items(found))

    def _with_items(self, found: "stripe.Subscription") -> tuple[Json, list[Json]]:
        value = found.to_dict(for_json=True)
        # A subscription holds its first ten items only.
        listed = value.get("items") or {}
        items = listed.get("data") or []
        if listed.get("has_more"):
            items = list(self._items(found.id))
        return value, items

    def _items(self, subscription_id: str) -> Iterator[dict[str, Any]]:
        def fetch(after: str | None) -> "stripe.ListObject[stripe.SubscriptionItem]":
            params: SubscriptionItemListParams = {
                "subscription": subscription_id,
                "limit": PAGE_SIZE,
            }
            if after is not None:
                params["starting_after"] = after
            return self._at.v1.subscription_items.list(params)

        for item in self._at.pages("subscription_items", fetch):
            yield item.to_dict(for_json=True)


def is_replayed(found: "stripe.StripeObject") -> bool:
    """Whether the answer was stored under the idempotency key, and so may tell of the past."""
    response = found.last_response
    headers = {} if response is None else response.headers
    return any(
        name.lower() == "idempotent-replayed" and str(value).lower() == "true"
        for name, value in headers.items()
    )
