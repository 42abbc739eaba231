"""The twenty ways in which others lost money or customers between Stripe and their own state: one test each.

The classes and their evidence are those of public incident reports; each docstring says what went wrong there.
"""

import itertools
import json
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest

from chalicelib import settings
from chalicelib.adapters.billing.stripe.events import StripeEventReader
from chalicelib.domain.billing_events import BillingEvent
from chalicelib.domain.errors import InvalidSignatureError
from chalicelib.domain.snapshots import Snapshot
from chalicelib.settings import SettingsError
from infra.local.stripe_stand_in import request_log
from infra.local.stripe_stand_in.deliveries import sign
from tests.fakes.system import FakeClock
from tests.integration.time_stories.life import Life
from tests.integration.webhooks.deliveries import Delivery
from tests.integration.world import SECRET
from tests.simulation.failures import FailingLife
from tests.simulation.run import actions_of
from tests.simulation.world import SimulatedWorld

Begin = Callable[[str], Life]
Body = bytes
ABOUT = ("customer.subscription.", "invoice.", "checkout.")


def held_back(life: Life) -> list[Body]:
    """What Stripe sends from now on is kept from us; returns what was kept so far, in Stripe's order."""
    found: list[Body] = []

    def sink(_: str, __: dict[str, str], body: bytes) -> int:
        found.append(body)
        return 200

    life.deployment.person("POST", "/_stand_in/deliveries/release")
    life.deployment.stand_in.deliver_due(sink)
    return found


def hold(life: Life) -> None:
    life.deployment.person("POST", "/_stand_in/deliveries", mode="hold")


def deliver(life: Life, body: Body, secret: str = SECRET) -> int:
    """The status that Stripe gets for this delivery; then the workers have had their turn."""
    header = sign(body, [secret], int(life.clock.now().timestamp()))
    status = Delivery(body, header=header).to(life.deployment).status
    life.settle()
    return status


def edited(body: Body, **fields: Any) -> Body:
    return json.dumps({**json.loads(body), **fields}).encode()


def kind(body: Body) -> str:
    return str(json.loads(body)["type"])


def version(life: Life, customer: str = "acme") -> int:
    found = life.deployment.store.get(Snapshot, customer)
    assert found is not None
    return found.version


def paid_unheard(begin: Begin) -> tuple[Life, list[Body]]:
    """A life in which the customer has just paid, and what Stripe would have told of it."""
    life = begin("2027-01-31 10:00")
    asked = life.orders()
    hold(life)
    life.pays(asked["checkout_session_id"])
    bodies = held_back(life)
    assert not life.has()
    return life, [body for body in bodies if kind(body).startswith(ABOUT)]


def test_i01_created_and_updated_out_of_order(begin: Begin) -> None:
    """A late `created` with an old status was written over the new one: stuck incomplete."""
    life, bodies = paid_unheard(begin)
    about = [body for body in bodies if kind(body).startswith("customer.subscription.")]
    old = json.loads(about[0])
    old["data"]["object"]["status"] = "incomplete"
    updated = edited(about[0], id="evt_later", type="customer.subscription.updated")
    orders = itertools.permutations([json.dumps(old).encode(), updated])
    for number, order in enumerate(orders):
        for body in order:
            again = edited(body, id=f"{json.loads(body)['id']}_{number}")
            assert deliver(life, again) == 200
            assert (life.status(), life.has()) == ("active", True)


def test_i02_concurrent_handlers_lose_no_update(begin: Begin) -> None:
    """Two handlers read the same state and both wrote. Here: a second one runs inside the first one's fetch.

    Every schedule of two workers is tried in the tests of convergence; this is the incident as it happened.
    """
    life, bodies = paid_unheard(begin)
    calls = life.deployment.stripe.request
    nested: list[int] = []

    def meanwhile(*args: Any, **options: Any) -> Any:
        answer = calls(*args, **options)
        if not nested:
            nested.append(1)
            billing_id = life.deployment.stand_in.account.all("subscription")[0]["id"]
            life.deployment.person("DELETE", f"/v1/subscriptions/{billing_id}")
            other = edited(bodies[1], id="evt_other")
            nested.append(deliver(life, other))
        return answer

    life.deployment.stripe.request = meanwhile  # type: ignore[method-assign]
    assert deliver(life, bodies[0]) == 200
    assert nested == [1, 200]
    assert (life.status(), life.has()) == ("canceled", False)


def test_i03_events_of_the_same_second_in_every_order(begin: Begin) -> None:
    """`created` has a resolution of a second: a guard by it dropped the newer of two events."""
    life, bodies = paid_unheard(begin)
    five = [edited(body, created=1_800_000_000) for body in bodies[:5]]
    assert len(five) == 5
    for number, order in enumerate(itertools.permutations(five)):
        for body in order:
            again = edited(body, id=f"{json.loads(body)['id']}_{number}")
            assert deliver(life, again) == 200
        assert (life.status(), life.has()) == ("active", True)


def test_i04_invoice_before_the_customer_is_known_is_looked_up_or_parked(begin: Begin) -> None:
    """An `invoice.paid` that came before `checkout.session.completed` found no user and was dropped with 200."""
    life, bodies = paid_unheard(begin)
    invoice = next(body for body in bodies if kind(body) == "invoice.paid")
    assert deliver(life, invoice) == 200
    assert (life.status(), life.has()) == ("active", True)
    document = json.loads(invoice)
    document["data"]["object"]["customer"] = "cus_of_nobody"
    assert deliver(life, edited(json.dumps(document).encode(), id="evt_stranger")) == 200
    parked = life.deployment.store.get(BillingEvent, "evt_stranger")
    assert parked is not None
    assert (parked.status, parked.reason) == ("pending", "unknown_customer")
    life.later(days=5)
    given_up = life.deployment.store.get(BillingEvent, "evt_stranger")
    assert given_up is not None
    assert given_up.status == "failed"  # after days of retries, kept, counted and replayable
    life.deployment.store.records.pop((BillingEvent, ("evt_stranger",)))


def test_i05_two_tabs_paid_leave_one_subscription(begin: Begin) -> None:
    """Two checkouts of one customer both became subscriptions, and both went on charging."""
    life = begin("2027-01-31 10:00")
    life.buys()
    held = life.deployment.stand_in.account.all("subscription")[0]
    twin = {
        "customer": held["customer"],
        "items[0][price]": held["items"]["data"][0]["price"],
        "default_payment_method": held["default_payment_method"],
        **{f"metadata[{name}]": value for name, value in held["metadata"].items()},
        "metadata[paygrade_entity_id]": "subs_second_tab",
    }
    life.later(minutes=1)
    life.at_stripe("POST", "/v1/subscriptions", **twin)
    life.later(hours=2)
    life.reconcile()
    statuses = sorted(one["status"] for one in life.deployment.stand_in.account.all("subscription"))
    assert statuses == ["active", "canceled"]
    refunds = life.deployment.stand_in.account.all("refund")
    assert [one["amount"] for one in refunds] == [1000]
    assert (life.has(), life.subscription()["billing"][0]["billing_id"]) == (True, held["id"])


def test_i06_old_delete_does_not_wipe_the_new_plan(begin: Begin) -> None:
    """`customer.subscription.deleted` of the old one took the access that the new one gave."""
    life = begin("2027-01-31 10:00")
    held = life.buys()
    hold(life)
    life.tell(f"subscriptions/{held}/cancel", {"effective": "immediate"})
    bodies = held_back(life)
    life.deployment.person("POST", "/_stand_in/deliveries", mode="normal")
    life.buys()
    deleted = next(body for body in bodies if kind(body).endswith(".deleted"))
    for number in range(3):
        assert deliver(life, edited(deleted, id=f"evt_deleted_{number}")) == 200
        assert (life.status(), life.has()) == ("active", True)


def test_i07_duplicate_delivery_has_one_effect(begin: Begin) -> None:
    """The second delivery of an event doubled its effect, or failed on a unique key for ever."""
    life, bodies = paid_unheard(begin)
    assert [deliver(life, bodies[0]) for _ in range(5)] == [200] * 5
    before = version(life)
    assert [deliver(life, body) for body in bodies for _ in range(3)] == [200] * 3 * len(bodies)
    assert version(life) == before
    assert len(life.ask("subscriptions?customer_id=acme")["data"]) == 1


@pytest.mark.parametrize("every", [1, 2, 3])
def test_i08_webhook_lost_for_ever_is_healed(begin: Begin, every: int) -> None:
    """A payer was locked out for weeks by one lost event, because nothing looked at the state itself."""
    life, bodies = paid_unheard(begin)
    for number, body in enumerate(bodies):
        if number % every:
            deliver(life, body)
    life.reconcile()
    assert (life.status(), life.has()) == ("active", True)
    assert life.reconcile() == []


SHAPES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    # Up to acacia a subscription had its period itself, and an invoice its subscription.
    "2024-12-18.acacia": lambda thing: {
        **thing,
        "current_period_start": 1,
        "current_period_end": 2,
        "subscription": "sub_1",
    },
    # Since basil they stand on the items and in the invoice's parent.
    "2025-03-31.basil": lambda thing: {
        name: value for name, value in thing.items() if name != "subscription"
    },
    "current": lambda thing: thing,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_i09_shape_of_another_api_version_changes_nothing_and_is_not_lost(
    begin: Begin, shape: str
) -> None:
    """A field that moved made every renewal fail. We take no field of a payload but whose it is."""
    life, bodies = paid_unheard(begin)
    statuses = set()
    for body in bodies:
        document = json.loads(body)
        document["data"]["object"] = SHAPES[shape](document["data"]["object"])
        if shape != "current":
            document["api_version"] = shape
        assert deliver(life, json.dumps(document).encode()) == 200
        kept = life.deployment.store.get(BillingEvent, document["id"])
        assert kept is not None
        statuses.add(kept.status)
    assert life.has() is (shape == "current")
    assert statuses == ({"processed"} if shape == "current" else {"ignored"})
    alarms = life.deployment.monitor.named("billing_event_quarantined")
    assert len(alarms) == (0 if shape == "current" else len(bodies))
    life.reconcile()
    assert (life.status(), life.has()) == ("active", True)


def test_i10_test_and_live_never_mix(begin: Begin) -> None:
    """Events of test mode changed live customers, and a live key ran in a test stage."""
    life, bodies = paid_unheard(begin)
    for body in bodies:
        assert deliver(life, edited(body, livemode=True)) == 200
    assert not life.has()
    kept = [one for one in life.deployment.store.all(BillingEvent) if one.live]
    assert {(one.status, one.reason) for one in kept} == {("ignored", "wrong_mode")}
    assert len(life.deployment.monitor.named("billing_event_quarantined")) == len(bodies)
    base = {"PAYGRADE_PUBLIC_URL": "https://api.example.test"}
    for mode, key in (("test", "sk_live_x"), ("test", "rk_live_x"), ("live", "sk_test_x")):
        with pytest.raises(SettingsError):
            settings.load({**base, "PAYGRADE_MODE": mode, "STRIPE_SECRET_KEY": key})


def test_i11_customer_deleted_at_stripe_is_made_again_when_needed(begin: Begin) -> None:
    """Every later call for the customer failed with `No such customer`."""
    life = begin("2027-01-31 10:00")
    life.buys()
    first = life.ask("customers/acme")["billing"][0]["billing_id"]
    life.at_stripe("DELETE", f"/v1/customers/{first}")
    life.later(hours=1)
    life.reconcile()
    assert (life.status(), life.has()) == ("canceled", False)
    life.later(days=2)
    life.buys()
    assert life.ask("customers/acme")["billing"][0]["billing_id"] != first
    assert (life.status(), life.has()) == ("active", True)
    assert life.reconcile() == []


def test_i12_price_archived_in_the_dashboard_is_not_sold_and_is_made_good(begin: Begin) -> None:
    """Checkouts failed, or sold an old price, after somebody had tidied up the dashboard."""
    life = begin("2027-01-31 10:00")
    price = next(
        one for one in life.deployment.stand_in.account.all("price") if one["unit_amount"] == 10_000
    )
    life.at_stripe("POST", f"/v1/prices/{price['id']}", active="false")
    assert life.reconcile() != []
    assert life.reconcile() == []
    life.buys(billing_period="year")
    assert (life.has(), life.paid()) == (True, [10_000])


def test_i13_lookup_key_stays_single_through_a_crash_between_create_and_archive(
    begin: Begin,
) -> None:
    """The second push failed on the lookup key that the first, half-done one had left."""
    begin("2027-01-31 10:00")
    for steps in range(2, 14):
        with SimulatedWorld.begun() as world:
            world.life.die_in = steps
            world.life.guarded(partial(world.publish, "pro", 0))
            world.life.guarded(world.life.settle)
            world.life.heal()
            world.life.later(days=1)
            prices = world.life.deployment.stand_in.account.all("price")
            keys = [one["lookup_key"] for one in prices if one["active"]]
            assert len(keys) == len(set(keys))
            assert world.life.reconcile() == []


def test_i14_same_idempotency_key_means_equal_bytes() -> None:
    """A key came back with other parameters, and Stripe refused it for a day."""
    for seed in range(3):
        with SimulatedWorld.begun() as world:
            for action in actions_of(seed):
                world.act(action)
            sent: dict[str, set[str]] = defaultdict(set)
            for one in request_log.since(world.life.deployment.stand_in.account, 0):
                if one["idempotency_key"]:
                    text = json.dumps([one["path"], one["params"]], sort_keys=True)
                    sent[one["idempotency_key"]].add(text)
            assert sent
            assert {key: texts for key, texts in sent.items() if len(texts) > 1} == {}


def test_i15_what_has_ended_here_is_not_billed_there(begin: Begin) -> None:
    """A subscription expired locally, and Stripe went on charging for it."""
    life = begin("2027-01-31 10:00")
    held = life.buys()
    life.tell(f"subscriptions/{held}/cancel", {"effective": "immediate"})
    life.later(days=100)
    live = [
        one
        for one in life.deployment.stand_in.account.all("subscription")
        if one["status"] != "canceled"
    ]
    assert (live, life.paid()) == ([], [1000])


@pytest.mark.parametrize("secret", ["", " ", "whsec_a,", ", "])
def test_i16_blank_secret_refuses_to_start(secret: str) -> None:
    """An empty secret verified everything that was signed with an empty secret."""
    base = {"PAYGRADE_PUBLIC_URL": "https://api.example.test"}
    with pytest.raises(SettingsError):
        settings.load({**base, "STRIPE_WEBHOOK_SECRETS": secret})


def test_i16_unsigned_or_wrongly_signed_webhook_changes_nothing(begin: Begin) -> None:
    """Where the secret was missing the body was trusted."""
    life, bodies = paid_unheard(begin)
    before = life.deployment.store.all(BillingEvent)
    assert Delivery(bodies[0], header=None).to(life.deployment).status == 400
    assert deliver(life, bodies[0], secret="whsec_other") == 400
    assert life.deployment.store.all(BillingEvent) == before
    assert not life.has()
    reader = StripeEventReader((SECRET,), FakeClock(life.clock.now()))
    with pytest.raises(InvalidSignatureError):
        reader.read(bodies[0], "t=1,v1=")


def test_i17_object_deleted_before_it_is_processed_is_no_poison(begin: Begin) -> None:
    """The handler fetched what was gone, failed, and was retried until the queue was full."""
    life, bodies = paid_unheard(begin)
    customer = life.ask("customers/acme")["billing"][0]["billing_id"]
    life.deployment.person("DELETE", f"/v1/customers/{customer}")
    for body in bodies:
        assert deliver(life, body) == 200
    life.later(days=1)
    life.reconcile()
    assert not life.has()
    assert life.deployment.queue.messages == []
    assert life.unprocessed() == []


@pytest.mark.parametrize(
    "fault", ["429", "500_before", "500_after", "timeout_after", "reset", "409"]
)
def test_i18_stored_failures_and_throttling_are_survived(fault: str) -> None:
    """Stripe replays a stored 500 under its key for a day, and the SDK repeats no 429."""
    with FailingLife.begun("2027-01-31 10:00") as life:
        for after in range(6):
            life.deployment.person("POST", "/_stand_in/faults", kind=fault, times=1, after=after)
            life.sell("pro", month=1001 + after)
            life.customer(f"c{after}")
            order = {"customer_id": f"c{after}", "plan_id": "pro"}
            answer = life.deployment.send("POST", "/v1/subscriptions", order)
            assert answer.status in (200, 503) or answer.json["code"] == "billing_not_ready"
            life.heal()
            life.later(days=2)
            life.buys(customer=f"c{after}")
            assert life.has(customer=f"c{after}")
        assert len(life.deployment.stand_in.account.all("subscription")) == 6
        assert life.dead == []
        assert life.reconcile() == []


def test_i19_answer_is_never_older_than_what_was_written(begin: Begin) -> None:
    """A cache went on saying yes after the subscription was gone."""
    life = begin("2027-01-31 10:00")
    held = life.buys()
    path = "/v1/customers/acme/entitlements"
    first = life.deployment.send("GET", path)
    known = {"If-None-Match": first.headers["ETag"]}
    assert life.deployment.send("GET", path, headers=known).status == 304
    life.tell(f"subscriptions/{held}/cancel", {"effective": "immediate"})
    assert not life.has()
    after = life.deployment.send("GET", path, headers=known)
    assert after.status == 200
    assert after.headers["ETag"] != first.headers["ETag"]


def test_i20_late_webhook_after_reconciliation_changes_nothing(begin: Begin) -> None:
    """An event from before overwrote what reconciliation had made right."""
    life, bodies = paid_unheard(begin)
    life.deployment.person("POST", "/_stand_in/deliveries", mode="drop")
    held = life.deployment.stand_in.account.all("subscription")[0]
    life.deployment.person("DELETE", f"/v1/subscriptions/{held['id']}")
    life.reconcile()
    assert (life.status(), life.has()) == ("canceled", False)
    before = version(life)
    chance = Random(20)
    for body in chance.sample(bodies, len(bodies)):
        assert deliver(life, body) == 200
    assert (life.status(), life.has(), version(life)) == ("canceled", False, before)
