"""A key that Stripe does not take: whatever was asked waits for another one, and goes on with it as if nothing was."""

from dataclasses import dataclass, replace
from typing import cast

import pytest

from chalicelib.adapters.billing.stripe.provider import StripeProvider
from chalicelib.domain.billing_events import BillingEvent, BillingEventStatus
from chalicelib.domain.errors import BillingKeyRejectedError
from chalicelib.domain.migrations import MigrationStatus, Outcome
from chalicelib.domain.sync import SyncTask, SyncTaskStatus
from chalicelib.ports import Providers, QueueName
from chalicelib.services.apply_billing_event import apply_billing_event, receive_billing_event
from chalicelib.services.migrate_subscribers import get_migration
from chalicelib.services.run_sync_task import run_sync_task
from chalicelib.services.start_checkout import start_checkout
from infra.local.stripe_stand_in.in_process import ADDRESS, InProcessClient
from tests.factories import a_price
from tests.fakes.billing import FakeProviders
from tests.fakes.migrating import Shop
from tests.fakes.stripe_shop import StripeShop
from tests.fakes.world import a_cause, an_order


@dataclass
class Rotating(StripeShop):
    """`revoke` takes the key's rights at Stripe; `renew` brings one that is good again."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.good = self.ports

    def revoke(self) -> None:
        stripe = StripeProvider(
            api_key="sk_revoked",
            api_base=ADDRESS,
            clock=self.clock,
            http_client=InProcessClient(self.stand_in),
        )
        self.ports = replace(self.ports, providers=cast("Providers", FakeProviders([stripe])))

    def renew(self) -> None:
        self.ports = self.good


def test_sync_task_waits_for_another_key() -> None:
    shop = Rotating()
    shop.revoke()
    shop.publish("pro", a_price())
    [task] = shop.store.all(SyncTask)
    with pytest.raises(BillingKeyRejectedError):
        run_sync_task(shop.ports, task.id)
    [task] = shop.store.all(SyncTask)
    assert task.status is SyncTaskStatus.PENDING
    assert not shop.monitor.named("sync_failed")
    shop.renew()
    assert run_sync_task(shop.ports, task.id).status is SyncTaskStatus.SUCCEEDED
    assert shop.steps_left() == 0


def test_order_waits_for_another_key_and_has_one_checkout() -> None:
    shop = Rotating()
    shop.customer(email="a@acme.example")
    shop.sell("pro", a_price())
    shop.revoke()
    for _ in range(2):
        with pytest.raises(BillingKeyRejectedError):
            start_checkout(shop.ports, a_cause(), an_order())
    shop.renew()
    session = start_checkout(shop.ports, a_cause(), an_order())
    assert [one["id"] for one in shop.objects("checkout.session")] == [session.billing_id]


def test_billing_event_waits_for_another_key() -> None:
    shop = Rotating()
    shop.customer(email="a@acme.example")
    shop.sell("pro", a_price())
    customer = shop.pay()["customer"]
    shop.revoke()
    receive_billing_event(shop.ports, a_cause(), "stripe", shop.event(customer_billing_id=customer))
    [message] = [one for one in shop.queue.messages if one.queue is QueueName.CONVERGE]
    with pytest.raises(BillingKeyRejectedError):
        apply_billing_event(shop.ports, a_cause(), message.body["event_id"])
    [event] = shop.store.all(BillingEvent)
    assert event.status is BillingEventStatus.PENDING
    assert not shop.monitor.named("billing_event_failed")
    shop.renew()
    applied = apply_billing_event(shop.ports, a_cause(), message.body["event_id"])
    assert applied.status is BillingEventStatus.PROCESSED


def test_migration_waits_for_another_key_and_fails_for_nobody() -> None:
    shop = Shop()
    shop.subscribe_pro("ann", "bob")
    shop.draft(prices=(a_price("monthly", 1200),))
    run = shop.roll_out()
    rejected = BillingKeyRejectedError("Stripe does not take this environment's key.")
    shop.billing.fail("move_prices", rejected, times=2)
    shop.work()
    waiting = get_migration(shop.ports, run.id)
    assert waiting.status is MigrationStatus.RUNNING
    assert waiting.retry_at is not None
    shop.recover()
    done = get_migration(shop.ports, run.id)
    assert (done.status, done.counts.get(Outcome.FAILED, 0)) == (MigrationStatus.SUCCEEDED, 0)
    assert shop.versions() == {"ann": 2, "bob": 2}
