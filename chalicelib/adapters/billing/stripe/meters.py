"""Meters as Stripe has them: known by their event names, of which one at a time is active.

Meters carry no metadata, and there is no look-up by event name: they are listed. Stripe has few of
them, one for each feature whose usage is charged.
"""

from typing import TYPE_CHECKING, Final

import stripe

from chalicelib.adapters.billing.stripe.connection import PAGE_SIZE, Connection
from chalicelib.adapters.billing.stripe.errors import Benign, Effect, is_benign
from chalicelib.domain.errors import ProviderUnavailableError
from chalicelib.domain.meters import (
    CreateMeter,
    MeteredUsage,
    MeterStep,
    MirrorMeter,
    ObservedMeter,
    UpdateMeter,
)

if TYPE_CHECKING:
    from stripe.params.billing import MeterListParams

_METERS: Final = "billing.meters"
_EVENTS: Final = "billing.meter_events"
# https://docs.stripe.com/billing/subscriptions/usage-based/meters/configure
PAYLOAD_CUSTOMER: Final = "stripe_customer_id"
PAYLOAD_VALUE: Final = "value"


class StripeMeters:
    """The meters of one account."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    def observe(self, event_names: frozenset[str]) -> dict[str, ObservedMeter]:
        """The meters of these event names; of several with one name, the active or newest one."""
        found: dict[str, ObservedMeter] = {}
        for meter in self._list():
            held = found.get(meter.event_name)
            if meter.event_name in event_names and (held is None or not held.active):
                active = meter.status == "active"
                if held is None or active:
                    found[meter.event_name] = ObservedMeter(
                        billing_id=meter.id,
                        event_name=meter.event_name,
                        display_name=meter.display_name,
                        active=active,
                    )
        return found

    def event_names(self) -> dict[str, str]:
        """The event name of each meter, by its id."""
        return {meter.id: meter.event_name for meter in self._list()}

    def id_of(self, event_name: str) -> str:
        """The active meter of this event name."""
        meter = self.observe(frozenset([event_name])).get(event_name)
        if meter is None or not meter.active:
            raise ProviderUnavailableError(f"Stripe lists no active meter {event_name!r} yet.")
        return meter.billing_id

    def apply(self, step: MeterStep) -> str:
        """The step is done; the meter's id. No key is needed: the event name keeps it single."""
        match step:
            case CreateMeter(meter=meter):
                return self._ensure(meter)
            case UpdateMeter(billing_id=billing_id, meter=meter, reactivate=reactivate):
                return self._update(billing_id, meter, reactivate=reactivate)

    def report(self, usage: MeteredUsage) -> None:
        """Stripe counts the usage; its identifier keeps it single (https://docs.stripe.com/api/billing/meter-event).

        No idempotency key: a server error that it would replay for a day is of no use here.
        """
        self._at.attempt(
            _EVENTS,
            Effect.SET,
            lambda: self._at.v1.billing.meter_events.create(
                {
                    "event_name": usage.event_name,
                    "identifier": usage.id,
                    "timestamp": int(usage.at.timestamp()),
                    "payload": {
                        PAYLOAD_CUSTOMER: usage.customer_billing_id,
                        PAYLOAD_VALUE: str(usage.value),
                    },
                }
            ),
            lambda error: is_benign(error, Benign.REPORTED) or _names(error, usage.id),
        )

    def _ensure(self, meter: MirrorMeter) -> str:
        """The id of the active meter of this event name, made if there was none."""
        created = self._at.attempt(
            _METERS,
            Effect.SET,
            lambda: self._at.v1.billing.meters.create(
                {
                    "event_name": meter.event_name,
                    "display_name": meter.display_name,
                    "default_aggregation": {"formula": meter.formula.value},
                    "customer_mapping": {
                        "type": "by_id",
                        "event_payload_key": PAYLOAD_CUSTOMER,
                    },
                    "value_settings": {"event_payload_key": PAYLOAD_VALUE},
                }
            ),
            lambda error: is_benign(error, Benign.EXISTS),
        )
        return self.id_of(meter.event_name) if created is None else created.id

    def _update(self, billing_id: str, meter: MirrorMeter, *, reactivate: bool) -> str:
        """The meter is called so, and takes events."""
        if reactivate:
            self._at.run(
                _METERS,
                Effect.SET,
                lambda: self._at.v1.billing.meters.reactivate(billing_id),
            )
        return self._at.run(
            _METERS,
            Effect.SET,
            lambda: self._at.v1.billing.meters.update(
                billing_id, {"display_name": meter.display_name}
            ),
        ).id

    def _list(self) -> "list[stripe.billing.Meter]":
        def fetch(after: str | None) -> "stripe.ListObject[stripe.billing.Meter]":
            params: MeterListParams = {"limit": PAGE_SIZE}
            if after is not None:
                params["starting_after"] = after
            return self._at.v1.billing.meters.list(params)

        return list(self._at.pages(_METERS, fetch))


def _names(error: stripe.StripeError, identifier: str) -> bool:
    """Whether Stripe refuses this very identifier: it does so for one it has, and may leave the code out."""
    return (
        isinstance(error, stripe.InvalidRequestError)
        and error.code is None
        and identifier in (error.user_message or "")
    )
