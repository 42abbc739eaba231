"""The whole application over ports in memory: real routes, services and webhook reader, no socket."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chalicelib.adapters.billing.stripe.events import StripeEventReader
from chalicelib.adapters.billing.stripe.version import API_VERSION
from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.plain import plain
from chalicelib.ports import CheckoutProvider
from tests.fakes.billing import FakeBillingProvider
from tests.fakes.store import InMemoryStore
from tests.integration.gateway import NO_HEADERS, gateway_event, invoke
from tests.unit.api.world import Answer, World

SECRET = "whsec_current"
WEBHOOK = "/v1/webhooks/stripe"


@dataclass(frozen=True)
class OneProvider:
    """The `Providers` of an environment that has just this one."""

    provider: CheckoutProvider

    def names(self) -> Sequence[str]:
        return (self.provider.name,)

    def get(self, name: str) -> CheckoutProvider:
        assert name == self.provider.name
        return self.provider

    def checkout(self) -> CheckoutProvider:
        return self.provider


@dataclass
class Deployment(World):
    """One environment as it is deployed, but for its database, its queue and its provider."""

    secrets: tuple[str, ...] = (SECRET,)
    fake: FakeBillingProvider = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fake = FakeBillingProvider(self.clock)
        self.ports = replace(
            self.ports,
            environment=replace(self.ports.environment, billing_api_version=API_VERSION),
            providers=OneProvider(self.fake),
            billing_events=StripeEventReader(self.secrets, self.clock),
        )

    def request(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        is_base64: bool = False,
        parameters: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer to exactly this request."""
        event = gateway_event(
            self.app,
            method,
            path,
            body=body,
            is_base64=is_base64,
            headers=headers,
            parameters=parameters,
        )
        return invoke(self.app, event)


def dump(store: InMemoryStore) -> dict[str, Any]:
    """Everything stored but the bookkeeping of idempotency keys, comparable and readable."""
    return {
        f"{kind.__name__}:{'/'.join(identity)}": plain(record)
        for (kind, identity), record in sorted(
            store.records.items(), key=lambda item: (item[0][0].__name__, item[0][1])
        )
        if kind is not IdempotencyRecord
    }
