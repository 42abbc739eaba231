"""A platform's environment, from connecting an account to its end: nothing ever lands in the platform's own account."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import pytest

import app
from chalicelib.adapters.billing.stripe.accounts import StripeAccounts
from chalicelib.adapters.billing.stripe.connection import Connection
from chalicelib.adapters.billing.stripe.provider import StripeProvider
from chalicelib.domain.billing_accounts import Connecting
from chalicelib.domain.billing_events import BillingEvent
from chalicelib.domain.checkout_sessions import CheckoutSession
from chalicelib.domain.sync import SyncTask
from chalicelib.ports import CheckoutProvider, QueueName
from chalicelib.services.billing_account import account_in_use
from chalicelib.services.reconcile import continue_reconciliation
from chalicelib.services.run_sync_task import run_sync_task
from infra.local.stripe_stand_in import Request, StandIn, request_log
from infra.local.stripe_stand_in.account import CLIENT_ID
from infra.local.stripe_stand_in.in_process import ADDRESS, TEST_KEY
from tests.fakes.system import AmpleTime
from tests.fakes.world import a_cause
from tests.integration.webhooks.deliveries import Delivery, event, signed
from tests.integration.webhooks.stories import CATALOG, told
from tests.integration.world import SECRET, WEBHOOK, StripeDeployment
from tests.unit.api.world import served

BACK: Final = "/v1/integrations/stripe/callback"


@dataclass(frozen=True)
class OfThePlatform:
    """Stripe on behalf of the account that is connected at that moment, as the composition root hands it out."""

    deployment: "PlatformDeployment"

    def names(self) -> Sequence[str]:
        return ("stripe",)

    def get(self, name: str) -> CheckoutProvider:
        deployment = self.deployment
        return deployment.provider(account_in_use(deployment.store, name, Connecting.REQUIRED))

    def connector(self, _name: str) -> StripeAccounts:
        return StripeAccounts(
            self.deployment.connection, live=False, provider=self.deployment.provider
        )


@dataclass
class PlatformDeployment(StripeDeployment):
    """The same, whose key is a platform's: Stripe delivers what happens in connected accounts."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stand_in.register_webhook(f"https://api.example.test{WEBHOOK}", SECRET, connect=True)
        environment = replace(self.ports.environment, connecting=Connecting.REQUIRED)
        self.ports = replace(self.ports, environment=environment, providers=OfThePlatform(self))

    def connection(self, account_id: str | None) -> Connection:
        return Connection(
            api_key=TEST_KEY,
            api_base=ADDRESS,
            clock=self.clock,
            http_client=self.stripe,
            account_id=account_id,
            client_id=CLIENT_ID,
        )

    def provider(self, account_id: str | None) -> StripeProvider:
        return StripeProvider(
            api_key=TEST_KEY,
            api_base=ADDRESS,
            clock=self.clock,
            http_client=self.stripe,
            account_id=account_id,
        )

    def connect(self, account: str = "new") -> Any:
        """Somebody begins, the account's owner agrees at Stripe, and its browser comes back."""
        url = urlsplit(told(self, "integrations/stripe/connect", method="GET")["url"])
        form = urlencode({"account": account, "action": "connect"}).encode()
        asked = self.stand_in.handle(Request("POST", url.path, url.query, {}, form))
        assert asked.status == 303
        back = urlsplit(asked.headers["Location"])
        assert back.path == BACK
        answer = self.request("GET", f"{back.path}?{back.query}")
        assert answer.status == 200, answer.body
        return answer.json

    def hear(self) -> list[str]:
        """Every notification on its way has come; what became of each that was taken."""
        statuses: list[str] = []

        def sink(_url: str, headers: dict[str, str], body: bytes) -> int:
            # Signed at the same second as ours: both clocks stand still.
            answer = Delivery(body, header=headers["Stripe-Signature"]).to(self)
            if answer.status == 200:
                statuses.append(answer.json["status"])
            return answer.status

        self.stand_in.deliver_due(sink)
        return statuses

    def account(self, account_id: str) -> StandIn:
        return self.stand_in.connected[account_id]

    def sell(self) -> None:
        """A plan is published, and the worker has had its turn."""
        for path, body in CATALOG:
            told(self, path, body)
        told(self, "plans/pro/publish")
        self.work_off(QueueName.SYNC, lambda body: run_sync_task(self.ports, body["task_id"]))

    def retry(self) -> None:
        """The sweep's turn."""
        for task in self.store.all(SyncTask):
            run_sync_task(self.ports, task.id)

    def buy(self) -> Any:
        told(self, "customers", {"id": "acme", "name": "Acme"})
        order = {"customer_id": "acme", "plan_id": "pro", "quantities": {"seats": 3}}
        assert told(self, "subscriptions", order)["status"] == "payment_required"
        [session] = self.store.all(CheckoutSession)
        self.person("POST", f"/_stand_in/checkout_sessions/{session.billing_id}/pay")
        self.hear()

    def may(self, feature: str = "sso") -> bool:
        return bool(
            told(self, f"customers/acme/entitlements/{feature}", method="GET")["has_access"]
        )


@pytest.fixture
def platform() -> Iterator[PlatformDeployment]:
    with served(PlatformDeployment(app.app)) as made:
        assert isinstance(made, PlatformDeployment)
        yield made


def sold_and_revoked_unheard(platform: PlatformDeployment) -> str:
    """The account of a connection that its owner has ended, while notifications get lost."""
    account_id: str = platform.connect()["account_id"]
    platform.sell()
    platform.person("POST", "/_stand_in/deliveries", mode="drop")
    platform.person("POST", f"/_stand_in/accounts/{account_id}/revoke")
    return account_id


def made_by_us(stand_in: StandIn) -> list[str]:
    kinds = ("product", "price", "customer", "checkout.session", "subscription", "billing.meter")
    return [kind for kind in kinds if stand_in.account.all(kind)]


def test_platform_sells_in_the_connected_account_and_nowhere_else(
    platform: PlatformDeployment,
) -> None:
    platform.sell()  # before anything is connected: the plan waits
    assert told(platform, "plans/pro", method="GET")["sync_status"] == "pending"
    assert made_by_us(platform.stand_in) == []
    connected = platform.connect()
    platform.retry()
    plan = told(platform, "plans/pro", method="GET")
    assert plan["sync_status"] == "synced"
    platform.buy()
    assert platform.may()
    theirs = platform.account(connected["account_id"])
    assert len(theirs.account.all("subscription")) == 1
    assert made_by_us(platform.stand_in) == []
    # Whatever the application asked of Stripe's API, it asked on the account's behalf.
    asked = [
        entry.get("headers", {}).get("stripe-account")
        for entry in request_log.since(platform.stand_in.account, 0)
        if not entry["path"].startswith("/oauth/")
    ]
    assert asked
    assert set(asked) == {connected["account_id"]}


def test_platform_goes_on_where_it_was_when_the_account_is_connected_again(
    platform: PlatformDeployment,
) -> None:
    account_id = platform.connect()["account_id"]
    platform.sell()
    platform.buy()
    assert told(platform, "integrations/stripe", method="DELETE")["status"] == "disconnected"
    assert platform.may()  # what was bought stays; only Stripe's news are not heard
    [subscription] = told(platform, "subscriptions?customer_id=acme", method="GET")["data"]
    answer = platform.send(
        "POST", f"/v1/subscriptions/{subscription['id']}/cancel", {"effective": "immediate"}
    )
    assert (answer.status, answer.json["code"]) == (409, "billing_not_connected")
    assert platform.connect(account_id)["status"] == "connected"
    told(platform, f"subscriptions/{subscription['id']}/cancel", {"effective": "immediate"})
    assert not platform.may()


def test_platform_hears_that_the_owner_ended_the_connection(
    platform: PlatformDeployment,
) -> None:
    account_id = platform.connect()["account_id"]
    platform.sell()
    platform.person("POST", f"/_stand_in/accounts/{account_id}/revoke")
    platform.hear()
    shown = told(platform, "integrations/stripe", method="GET")
    assert (shown["status"], shown["account_id"]) == ("revoked", account_id)
    assert platform.monitor.named("billing_account_revoked")
    kept = [one for one in platform.store.all(BillingEvent) if one.type.startswith("account.")]
    assert [(one.status, one.reason) for one in kept] == [("ignored", "connection_ended")]
    told(platform, "customers", {"id": "acme"})
    order = platform.send("POST", "/v1/subscriptions", {"customer_id": "acme", "plan_id": "pro"})
    assert (order.status, order.json["code"]) == (409, "billing_not_connected")


def test_platform_that_learns_of_the_end_by_a_refusal_keeps_work_for_later(
    platform: PlatformDeployment,
) -> None:
    """The notification may be lost: Stripe's refusal is no reason to give a change up."""
    account_id = sold_and_revoked_unheard(platform)
    told(platform, "plans/pro", {"name": "Professional"}, method="PATCH")
    told(platform, "plans/pro/publish")
    platform.work_off(QueueName.SYNC, lambda body: run_sync_task(platform.ports, body["task_id"]))
    assert told(platform, "plans/pro", method="GET")["sync_status"] == "pending"
    platform.person("POST", "/_stand_in/deliveries", mode="normal")
    platform.connect(account_id)
    platform.retry()
    assert told(platform, "plans/pro", method="GET")["sync_status"] == "synced"
    [product] = [
        one
        for one in platform.account(account_id).account.all("product")
        if "pro" in one["id"] and one["name"].endswith("Professional")
    ]
    assert product["active"]


def test_platform_hears_of_an_end_whose_notification_was_lost_by_reconciling(
    platform: PlatformDeployment,
) -> None:
    account_id = sold_and_revoked_unheard(platform)
    assert told(platform, "integrations/stripe", method="GET")["status"] == "connected"
    run = told(platform, "reconciliations")
    continue_reconciliation(platform.ports, a_cause(), run["id"], AmpleTime())
    shown = told(platform, "integrations/stripe", method="GET")
    assert (shown["status"], shown["account_id"]) == ("revoked", account_id)
    done = told(platform, f"reconciliations/{run['id']}", method="GET")
    assert (done["status"], done["drifts"]) == ("failed", [])
    assert done["error"] == "Not everything was compared with stripe."


@pytest.mark.parametrize("account", [None, "acct_other"])
def test_events_of_another_account_are_kept_and_not_applied(
    platform: PlatformDeployment, account: str | None
) -> None:
    account_id = platform.connect()["account_id"]
    named = {} if account is None else {"account": account}
    answer = signed(event(**named)).to(platform)
    assert (answer.status, answer.json["status"]) == (200, "ignored")
    [kept] = platform.store.all(BillingEvent)
    assert kept.reason == "wrong_account"
    # Of one more account of the platform there is nothing to tell; the platform's own has no endpoint here.
    assert len(platform.monitor.named("billing_event_quarantined")) == (account is None)
    ours = signed(event(id="evt_2", account=account_id)).to(platform)
    assert ours.json["status"] == "pending"  # of a customer nobody knows yet, but of our account


def test_events_before_anything_is_connected_are_nobodys(platform: PlatformDeployment) -> None:
    assert signed(event(account="acct_1")).to(platform).json["status"] == "ignored"
    assert platform.store.all(BillingEvent)[0].reason == "wrong_account"


def test_event_whose_copy_came_by_a_wrong_endpoint_first_is_taken_when_it_is_meant_for_us(
    platform: PlatformDeployment,
) -> None:
    """As while an endpoint for the platform's own account, or for the account itself, is left from before."""
    account_id = platform.connect()["account_id"]
    assert signed(event()).to(platform).json["status"] == "ignored"
    assert signed(event(account=account_id)).to(platform).json["status"] == "pending"
    assert (
        signed(event()).to(platform).json["status"] == "pending"
    )  # the copy again changes nothing
    [kept] = platform.store.all(BillingEvent)
    assert kept.reason == "unknown_customer"


@pytest.mark.parametrize(
    ("fields", "reason", "is_told"),
    [
        ({"livemode": True}, "wrong_mode", False),  # an endpoint of a platform gets both modes
        ({"api_version": "2020-08-27"}, "wrong_api_version", True),
    ],
)
def test_events_of_our_account_that_are_not_for_us_are_told_of_where_something_is_wrong(
    platform: PlatformDeployment, fields: dict[str, Any], reason: str, is_told: bool
) -> None:
    account_id = platform.connect()["account_id"]
    signed(event(account=account_id, **fields)).to(platform)
    assert platform.store.all(BillingEvent)[0].reason == reason
    assert bool(platform.monitor.named("billing_event_quarantined")) is is_told
