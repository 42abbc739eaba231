"""Changing what a running subscription charges: at once by an update, or with its next period by a schedule.

https://docs.stripe.com/billing/subscriptions/change-price and /subscription-schedules. Each round looks at what Stripe
holds and does the one thing that is missing; a move is done when a round finds nothing missing. So a round whose answer
was lost, or that another worker had already done, is no different from any other.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

from chalicelib.adapters.billing.stripe.connection import Connection
from chalicelib.adapters.billing.stripe.customers import StripeCustomers
from chalicelib.adapters.billing.stripe.errors import Effect
from chalicelib.adapters.billing.stripe.move_params import (
    carrying_params,
    digest_of,
    is_open,
    is_ours,
    schedule_params,
    update_params,
)
from chalicelib.adapters.billing.stripe.subscriptions import Json, id_of
from chalicelib.domain.billing import ProviderSubscription
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from chalicelib.domain.price_moves import ItemMove, Proration

if TYPE_CHECKING:
    from stripe.params import SubscriptionScheduleUpdateParams, SubscriptionUpdateParams

_SUBSCRIPTIONS: Final = "subscriptions"
_PRICES: Final = "prices"
_SCHEDULES: Final = "subscription_schedules"
# Releasing or making a schedule, filling it, and one look more; as often again where Stripe replays a failure.
_ROUNDS: Final = 8

_Step = tuple[object, Callable[[str], object]]
"""What is asked of Stripe, and the call that takes an idempotency key."""


class StripeMoves:
    """The moves of one account."""

    def __init__(self, connection: Connection, customers: StripeCustomers) -> None:
        self._at = connection
        self._customers = customers

    def move(
        self,
        billing_id: str,
        moves: Sequence[ItemMove],
        *,
        proration: Proration,
        at_period_end: bool,
        metadata: Mapping[str, str],
        idempotency_key: str,
    ) -> ProviderSubscription:
        """See `SubscriptionChanges`."""
        unavailable: ProviderUnavailableError | None = None
        for round_number in range(_ROUNDS):
            found, items = self._customers.subscription_with_items(billing_id)
            step = (
                self._later(found, items, moves, metadata)
                if at_period_end
                else self._now(found, items, moves, proration, metadata)
            )
            if step is None:
                return self._customers.translated(found, items)
            asked, call = step
            # The same round of the same move has the same key, whoever makes it; after a failure that Stripe
            # would replay, the next round has another.
            key = f"{idempotency_key}:{digest_of([round_number, asked])}"
            try:
                call(key)
            except ProviderUnavailableError as error:
                if not error.definite:
                    raise
                unavailable = error
        raise unavailable or ProviderRefusedError("The subscription does not stay as it is set.")

    def drop_scheduled(self, billing_id: str, idempotency_key: str) -> ProviderSubscription:
        """See `ScheduledChanges`."""
        found, items = self._customers.subscription_with_items(billing_id)
        if not found.get("schedule"):
            return self._customers.translated(found, items)
        schedule = self._schedule(id_of(found["schedule"]))
        if is_open(schedule):
            self._release(schedule["id"], f"{idempotency_key}:release")
        return self._customers.translated(*self._customers.subscription_with_items(billing_id))

    def carry(
        self,
        found: Json,
        items: Sequence[Json],
        metadata: Mapping[str, str],
        idempotency_key: str,
    ) -> None:
        """What we left for the next period keeps the discounts that the subscription has, and has the metadata."""
        schedule = found.get("schedule")
        if not isinstance(schedule, Mapping) or not (is_open(schedule) and is_ours(schedule)):
            return
        params = carrying_params(schedule, found, metadata)
        if params is not None:
            self._fill(schedule["id"], params, items, f"{idempotency_key}:{digest_of(params)}")

    def _now(
        self,
        found: Json,
        items: Sequence[Json],
        moves: Sequence[ItemMove],
        proration: Proration,
        metadata: Mapping[str, str],
    ) -> _Step | None:
        params = update_params(found, items, moves, proration, metadata)
        if found.get("schedule"):
            schedule = self._schedule(id_of(found["schedule"]))
            # What waits for the next period would undo this.
            return ["release", schedule["id"]], lambda key: self._release(schedule["id"], key)
        if params is None:
            return None
        return params, lambda key: self._update(found["id"], params, key)

    def _later(
        self,
        found: Json,
        items: Sequence[Json],
        moves: Sequence[ItemMove],
        metadata: Mapping[str, str],
    ) -> _Step | None:
        if update_params(found, items, moves, Proration.NONE, metadata) is None:
            return None  # the period has ended meanwhile, and the change was made
        if found.get("schedule"):
            schedule = self._schedule(id_of(found["schedule"]))
            params = schedule_params(schedule, found, items, moves, metadata)
            if params is None:
                return None
            return params, lambda key: self._fill(schedule["id"], params, items, key)
        return ["schedule", found["id"]], lambda key: self._make(found["id"], key)

    def _schedule(self, schedule_id: str) -> Json:
        found = self._at.run(
            _SCHEDULES,
            Effect.READ,
            lambda: self._at.v1.subscription_schedules.retrieve(schedule_id),
        )
        schedule: Json = found.to_dict(for_json=True)
        if is_open(schedule) and not is_ours(schedule):
            raise ProviderRefusedError(
                "The subscription has a schedule that somebody else made.",
                provider_code="subscription_scheduled",
            )
        return schedule

    def _update(self, billing_id: str, params: Mapping[str, Any], key: str) -> object:
        typed = cast("SubscriptionUpdateParams", params)
        return self._at.run(
            _SUBSCRIPTIONS,
            Effect.CREATE,
            lambda: self._at.v1.subscriptions.update(billing_id, typed, {"idempotency_key": key}),
        )

    def _make(self, billing_id: str, key: str) -> object:
        return self._at.run(
            _SCHEDULES,
            Effect.CREATE,
            lambda: self._at.v1.subscription_schedules.create(
                {"from_subscription": billing_id}, {"idempotency_key": key}
            ),
        )

    def _fill(
        self, schedule_id: str, params: Mapping[str, Any], items: Sequence[Json], key: str
    ) -> None:
        """The schedule has these phases.

        The running one has to be repeated, and its prices may be archived by now, which a phase does not take:
        such prices are active for the moment. If we are cut off there, reconciliation archives them again.
        """
        try:
            self._set_phases(schedule_id, params, key)
        except ProviderRefusedError:
            archived = [id_of(item["price"]) for item in items if not item["price"]["active"]]
            if not archived:
                raise
            try:
                for price_id in archived:
                    self._set_active(price_id, active=True)
                self._set_phases(schedule_id, params, f"{key}:active")
            finally:
                for price_id in archived:
                    self._set_active(price_id, active=False)

    def _set_phases(self, schedule_id: str, params: Mapping[str, Any], key: str) -> None:
        typed = cast("SubscriptionScheduleUpdateParams", params)
        self._at.run(
            _SCHEDULES,
            Effect.CREATE,
            lambda: self._at.v1.subscription_schedules.update(
                schedule_id, typed, {"idempotency_key": key}
            ),
        )

    def _set_active(self, price_id: str, *, active: bool) -> None:
        self._at.run(
            _PRICES, Effect.SET, lambda: self._at.v1.prices.update(price_id, {"active": active})
        )

    def _release(self, schedule_id: str, key: str) -> object:
        return self._at.run(
            _SCHEDULES,
            Effect.CREATE,
            lambda: self._at.v1.subscription_schedules.release(
                schedule_id, {}, {"idempotency_key": key}
            ),
        )
