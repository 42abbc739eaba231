"""The stage's webhook endpoint at Stripe: registered for our API version and the events that we act on.

Stripe tells an endpoint's secret once, when the endpoint is made. So that none is left whose secret nobody has, an
endpoint bears a fingerprint of its secret from when that is kept, and counts only while it is.
"""

import hashlib
import typing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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
SECRET_MARK: Final = "paygrade_secret"  # noqa: S105 -- the name of a mark


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

        Where no endpoint of ours has a secret that is kept, or it speaks another version of the API, another endpoint
        takes over; those before it go once its secret is kept.

        Raises:
            DeployError: Stripe refused, or the secret could not be kept: what was there before still works.
        """
        with _refusals("deploy"):
            return self._register(url + PATH)

    def remove(self) -> list[str]:
        """Stripe delivers nothing to this stage any more.

        Raises:
            DeployError: Stripe refused.
        """
        with _refusals("destroy"):
            return self._remove([one for one in self._all() if self._is_ours(one)])

    def _register(self, address: str) -> list[str]:
        ours = [one for one in self._all() if self._is_ours(one) or one.url == address]
        text = self._secrets.read(WEBHOOK_SECRETS)
        secrets = webhook_secrets(text) if text else ()
        known = {_fingerprint(secret): secret for secret in secrets}
        kept = next((one for one in ours if self._is_current(one, address, known)), None)
        if kept is None:
            # What is under way is signed by the one that works until now.
            former = [known[mark] for one in ours if (mark := _secret_mark(one)) in known]
            return [*self._make(address, (former or secrets)[:1]), *self._remove(ours)]
        changed = self._remove([one for one in ours if one.id != kept.id])
        wanted = event_types(connect=self._connect)
        if set(kept.enabled_events) != set(wanted) or kept.status != "enabled":
            changes: Any = {"enabled_events": wanted, "disabled": False}
            self._endpoints.update(kept.id, changes)
            changed.append(f"{kept.id} takes {len(wanted)} kinds of events")
        return changed

    def _make(self, address: str, former: Sequence[str]) -> list[str]:
        self._secrets.where(WEBHOOK_SECRETS)  # before anything is made that could not be kept
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
        secret = made.secret or ""  # which Stripe never leaves out; a blank one is refused below
        try:
            self._secrets.write(WEBHOOK_SECRETS, ",".join((secret, *former)))
        except BaseException:
            # Nobody knows its secret. If this fails, too, the next run finds it without a fingerprint.
            with suppress(stripe.StripeError):
                self._endpoints.delete(made.id)
            raise
        # Whatever ends the run before this makes the next one begin anew, with what works until then in place.
        self._endpoints.update(made.id, {"metadata": {SECRET_MARK: _fingerprint(secret)}})
        return [f"made {made.id} for {len(wanted['enabled_events'])} kinds of events"]

    def _remove(self, endpoints: Sequence[Any]) -> list[str]:
        for endpoint in endpoints:
            self._endpoints.delete(endpoint.id)
        return [f"removed {endpoint.id}" for endpoint in endpoints]

    def _all(self) -> list[Any]:
        return list(self._endpoints.list({"limit": 100}).auto_paging_iter())

    def _is_ours(self, endpoint: Any) -> bool:
        return bool(_metadata(endpoint).get(MARK) == self._stage)

    def _is_current(self, endpoint: Any, address: str, known: typing.Container[str]) -> bool:
        # For connected accounts or not: that can't be changed, and Stripe does not show it for certain.
        is_connect = CONNECT_MARK in _metadata(endpoint)
        is_right = endpoint.url == address and endpoint.api_version == STRIPE_API_VERSION
        is_known = _secret_mark(endpoint) in known
        return bool(is_right and is_known and is_connect is self._connect)


def _metadata(endpoint: Any) -> dict[str, str]:
    return endpoint.metadata.to_dict() if endpoint.metadata else {}


def _secret_mark(endpoint: Any) -> str:
    return _metadata(endpoint).get(SECRET_MARK, "")


def _fingerprint(secret: str) -> str:
    """Tells secrets apart and gives none away: they are random and long."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


@contextmanager
def _refusals(verb: str) -> Iterator[None]:
    """What Stripe refuses comes out as a `DeployError`."""
    try:
        yield
    except (stripe.PermissionError, stripe.AuthenticationError) as error:
        told = "may not write webhook endpoints"
        if isinstance(error, stripe.AuthenticationError):
            told = "is none that Stripe takes"
        raise DeployError(
            f"The Stripe key {told}: keep another one, or see to the endpoint by hand (see infra/docs/deploy.md) and"
            f" {verb} with --no-webhook.",
            code="stripe_refused",
        ) from error
    except stripe.StripeError as error:
        raise DeployError(
            f"Stripe: {error.user_message or type(error).__name__}", code="stripe_refused"
        ) from error


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
