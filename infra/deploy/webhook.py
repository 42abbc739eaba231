"""The stage's webhook endpoint at Stripe: registered for our API version and the events that we act on."""

import typing
from collections.abc import Sequence
from typing import Any, Final

import stripe
from stripe.params import WebhookEndpointCreateParams

from chalicelib.adapters.billing.stripe.events import ABOUT_CUSTOMERS, DEAUTHORIZED
from chalicelib.settings import STRIPE_API_BASE, STRIPE_API_VERSION, webhook_secrets
from infra.deploy.aws import Aws
from infra.deploy.config import StageConfig
from infra.deploy.errors import DeployError
from infra.deploy.secrets import STRIPE_KEY, WEBHOOK_SECRETS, Secrets

PATH: Final = "/v1/webhooks/stripe"
MARK: Final = "paygrade_environment"
CONNECT_MARK: Final = "paygrade_connect"


def event_types(*, connect: bool = False) -> list[str]:
    """Every event that Stripe knows and that can change what a customer has; of an account also that it left us."""
    listed = WebhookEndpointCreateParams.__annotations__["enabled_events"]
    (literal,) = typing.get_args(listed)
    wanted = {one for one in typing.get_args(literal) if one.startswith(ABOUT_CUSTOMERS)}
    return sorted(wanted | {DEAUTHORIZED} if connect else wanted)


class Webhook:
    """The endpoint of one stage: for the key's own account or, with `connect`, for what happens in connected ones."""

    def __init__(
        self, key: str, secrets: Secrets, *, stage: str, api_base: str, connect: bool = False
    ) -> None:
        """No request is made."""
        client = stripe.StripeClient(key, base_addresses={"api": api_base}, max_network_retries=2)
        self._endpoints = client.v1.webhook_endpoints
        self._secrets = secrets
        self._stage = stage
        self._connect = connect

    def register(self, url: str) -> list[str]:
        """Stripe delivers our events to the URL, and their secret is kept; what was changed for that.

        A secret is told once, when its endpoint is made. Where it got lost since, or where the endpoint speaks another
        version of the API, another endpoint takes over; the secrets of both hold until the old one is gone.

        Raises:
            DeployError: Stripe refused.
        """
        try:
            return self._register(url + PATH)
        except stripe.PermissionError as error:
            raise DeployError(
                "The Stripe key may not write webhook endpoints: allow it, or register the endpoint by hand (see"
                " infra/docs/deploy.md) and deploy with --no-webhook.",
                code="stripe_refused",
            ) from error
        except stripe.StripeError as error:
            raise DeployError(
                f"Stripe: {error.user_message or type(error).__name__}", code="stripe_refused"
            ) from error

    def remove(self) -> list[str]:
        """Stripe delivers nothing to this stage any more."""
        try:
            gone = [one for one in self._all() if self._is_ours(one)]
            for endpoint in gone:
                self._endpoints.delete(endpoint.id)
        except stripe.StripeError as error:
            raise DeployError(f"Stripe: {type(error).__name__}", code="stripe_refused") from error
        return [f"removed {endpoint.id}" for endpoint in gone]

    def _register(self, address: str) -> list[str]:
        ours = [one for one in self._all() if self._is_ours(one) or one.url == address]
        kept = next((one for one in ours if self._is_current(one, address)), None)
        text = self._secrets.read(WEBHOOK_SECRETS)
        if kept is None or text is None:
            return [*self._make(address, text), *self._remove(ours)]
        changed = self._remove([one for one in ours if one.id != kept.id])
        wanted = event_types(connect=self._connect)
        if set(kept.enabled_events) != set(wanted) or kept.status != "enabled":
            changes: Any = {"enabled_events": wanted, "disabled": False}
            self._endpoints.update(kept.id, changes)
            changed.append(f"{kept.id} takes {len(wanted)} kinds of events")
        return changed

    def _make(self, address: str, text: str | None) -> list[str]:
        wanted: Any = {
            "url": address,
            "api_version": STRIPE_API_VERSION,
            "enabled_events": event_types(connect=self._connect),
            "description": f"Paygrade ({self._stage})",
            "metadata": {MARK: self._stage},
        }
        if self._connect:
            wanted["connect"] = True
            wanted["metadata"][CONNECT_MARK] = "true"
        made = self._endpoints.create(wanted)
        if not made.secret:
            raise DeployError(f"Stripe made {made.id} without telling its secret.")
        # What is under way is signed by the former one.
        former = webhook_secrets(text)[:1] if text else ()
        self._secrets.write(WEBHOOK_SECRETS, ",".join((made.secret, *former)))
        return [f"made {made.id} for {len(wanted['enabled_events'])} kinds of events"]

    def _remove(self, endpoints: Sequence[Any]) -> list[str]:
        for endpoint in endpoints:
            self._endpoints.delete(endpoint.id)
        return [f"removed {endpoint.id}" for endpoint in endpoints]

    def _all(self) -> list[Any]:
        return list(self._endpoints.list({"limit": 100}).auto_paging_iter())

    def _is_ours(self, endpoint: Any) -> bool:
        return bool(_metadata(endpoint).get(MARK) == self._stage)

    def _is_current(self, endpoint: Any, address: str) -> bool:
        # For connected accounts or not: that can't be changed, and Stripe does not show it for certain.
        is_connect = CONNECT_MARK in _metadata(endpoint)
        is_right = endpoint.url == address and endpoint.api_version == STRIPE_API_VERSION
        return bool(is_right and is_connect is self._connect)


def _metadata(endpoint: Any) -> dict[str, str]:
    return endpoint.metadata.to_dict() if endpoint.metadata else {}


def of_stage(aws: Aws, config: StageConfig) -> Webhook | None:
    """The endpoint of a deployed stage; None for one that does not work with Stripe, or has no key."""
    secrets = Secrets(aws, config.variables, live=config.live)
    key = secrets.read(STRIPE_KEY) if config.has_stripe else None
    if key is None:
        return None
    api_base = config.variables.get("STRIPE_API_BASE", STRIPE_API_BASE)
    return Webhook(
        key,
        secrets,
        stage=aws.place.stage,
        api_base=api_base,
        connect=config.connects_accounts,
    )
