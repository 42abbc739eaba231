"""The whole application over ports in memory: real routes, services and webhook reader, no socket."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from chalicelib.adapters.billing.stripe.events import StripeEventReader
from chalicelib.adapters.billing.stripe.provider import StripeProvider
from chalicelib.adapters.billing.stripe.throttle import Throttle
from chalicelib.adapters.billing.stripe.version import API_VERSION
from chalicelib.domain.billing_accounts import Connecting
from chalicelib.domain.idempotency import IdempotencyRecord
from chalicelib.domain.plain import plain
from chalicelib.ports import AccountConnector, CheckoutProvider, QueueName
from infra.local.signer import LocalSigner
from infra.local.stripe_stand_in import Request, StandIn, request_log
from infra.local.stripe_stand_in.in_process import ADDRESS, TEST_KEY, InProcessClient
from tests.fakes.accounts import FakeConnector
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
    accounts: AccountConnector | None = None

    def names(self) -> Sequence[str]:
        return (self.provider.name,)

    def get(self, name: str) -> CheckoutProvider:
        assert name == self.provider.name
        return self.provider

    def connector(self, name: str) -> AccountConnector | None:
        assert name == self.provider.name
        return self.accounts

    def checkout(self) -> CheckoutProvider:
        return self.provider


@dataclass
class Deployment(World):
    """One environment as it is deployed, but for its database, its queue and its provider."""

    secrets: tuple[str, ...] = (SECRET,)
    fake: FakeBillingProvider = field(init=False)
    accounts: FakeConnector = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.fake = FakeBillingProvider(self.clock)
        self.accounts = FakeConnector(lambda _: self.fake)
        self.ports = replace(
            self.ports,
            environment=replace(
                self.ports.environment,
                billing_api_version=API_VERSION,
                connecting=Connecting.OPTIONAL,
            ),
            providers=OneProvider(self.fake, self.accounts),
            billing_events=StripeEventReader(self.secrets, self.clock),
            signer=LocalSigner(),
        )

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        token: str | None = "",
        headers: Mapping[str, str] = NO_HEADERS,
        **more_headers: str,
    ) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in more_headers.items()}
        sent |= headers
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token or self.token}")
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        if data:
            sent.setdefault("Content-Type", "application/json")
        return self.request(method, path, data, headers=sent)

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


@dataclass
class StripeDeployment(Deployment):
    """The same with Stripe's own SDK against a stand-in of Stripe, whose webhook endpoint we are."""

    stripe: InProcessClient = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stripe = InProcessClient(
            StandIn(
                now=lambda: self.clock.now().timestamp(),
                seed="integration",
                webhook_url=f"https://api.example.test{WEBHOOK}",
                webhook_secret=SECRET,
            )
        )
        # A clock that sleeping moves would make the calls' number part of the result.
        throttle = Throttle(self.clock, per_second=1e9, burst=1_000_000)
        provider = StripeProvider(
            api_key=TEST_KEY,
            api_base=ADDRESS,
            clock=self.clock,
            http_client=self.stripe,
            throttle=throttle,
        )
        self.ports = replace(self.ports, providers=OneProvider(provider))

    @property
    def stand_in(self) -> StandIn:
        """Stripe as we reach it."""
        return self.stripe.stand_in

    def person(self, method: str, path: str, **fields: Any) -> Any:
        """Somebody at Stripe's dashboard or payment page does this."""
        headers = {"Authorization": f"Bearer {TEST_KEY}"}
        control = path.startswith("/_stand_in/")
        text = json.dumps(fields) if control else urlencode(fields)
        answer = self.stand_in.handle(Request(method, path, "", headers, text.encode()))
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def work_off(self, queue: QueueName, work: Callable[[Mapping[str, str]], object]) -> None:
        """The worker of this queue has had its turn."""
        self.queue.drain(queue, lambda message: work(message.body))

    def requests(self) -> list[tuple[str, int]]:
        """Method and status of every request that Stripe got; those it can't take are 400."""
        log = request_log.since(self.stand_in.account, 0)
        return [(entry["method"], entry["status"]) for entry in log]
