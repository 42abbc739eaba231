import json
from collections.abc import Callable
from typing import Any

import pytest
import stripe

from infra.local.stripe_stand_in import Request, StandIn

HOUR = 3_600
SECRET = "whsec_first"
START = 1_767_225_600


class Receiver:
    """Keeps what arrives; answers with the statuses given, then with 200."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int | OSError] = []

    def __call__(self, url: str, headers: dict[str, str], body: bytes) -> int:
        self.got.append((headers, body))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, OSError):
            raise answer
        return answer

    @property
    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.got]

    @property
    def names(self) -> list[str]:
        return [json.loads(body)["data"]["object"]["name"] for _, body in self.got]


@pytest.fixture
def stand_in() -> StandIn:
    return StandIn(
        now=lambda: START,
        seed="test",
        webhook_url="http://shop.invalid/hook",
        webhook_secret=SECRET,
    )


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
def make(api: Any) -> Callable[[str], Any]:
    return lambda name: api.products.create({"name": name})


def test_event_is_delivered_signed_and_as_it_is_listed(
    api: Any, stand_in: StandIn, receiver: Receiver, make: Any
) -> None:
    make("A")
    assert api.events.list().data[0].pending_webhooks == 1
    assert stand_in.deliver_due(receiver) == 1
    headers, body = receiver.got[0]
    event = stripe.Webhook.construct_event(
        body, headers["Stripe-Signature"], SECRET, tolerance=10**9
    )
    assert event.api_version == stripe.api_version
    assert body.decode() == json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    assert api.events.retrieve(event.id).pending_webhooks == 0


def test_delivery_refused_is_tried_again_until_taken(
    api: Any, control: Any, stand_in: StandIn, receiver: Receiver, make: Any
) -> None:
    receiver.answers = [500, 302, OSError("refused")]
    make("A")
    assert stand_in.deliver_due(receiver) == 1
    assert stand_in.deliver_due(receiver) == 0
    assert len(api.events.list({"delivery_success": False}).data) == 1
    for wait in (1, 2, 5):
        control("clock", {"advance_seconds": wait})
        assert stand_in.deliver_due(receiver) == 1
    assert api.events.list({"delivery_success": False}).data == []
    attempts = control("deliveries", method="GET")["attempts"]
    assert [attempt["status"] for attempt in attempts] == [500, 302, None, 200]


def test_delivery_is_given_up_after_three_days(
    api: Any, control: Any, stand_in: StandIn, receiver: Receiver, make: Any
) -> None:
    receiver.answers = [500] * 200
    make("A")
    for _ in range(80):
        stand_in.deliver_due(receiver)
        control("clock", {"advance_seconds": HOUR})
    tried = len(receiver.got)
    control("clock", {"advance_seconds": 100 * HOUR})
    assert stand_in.deliver_due(receiver) == 0
    assert len(receiver.got) == tried
    assert len(api.events.list({"delivery_success": False}).data) == 1


def test_mode_hold_keeps_deliveries_until_released(
    control: Any, stand_in: StandIn, receiver: Receiver, make: Any
) -> None:
    control("deliveries", {"mode": "hold"})
    make("A")
    make("B")
    assert stand_in.deliver_due(receiver) == 0
    assert control("deliveries/release")["released"] == 2
    stand_in.deliver_due(receiver)
    assert receiver.names == ["A", "B"]
    make("C")
    assert stand_in.deliver_due(receiver) == 0
    control("deliveries", {"mode": "normal"})
    stand_in.deliver_due(receiver)
    assert receiver.names == ["A", "B", "C"]


def test_mode_reverse_sends_the_newest_first(
    control: Any, stand_in: StandIn, receiver: Receiver, make: Any
) -> None:
    control("deliveries", {"mode": "reverse"})
    for name in "ABC":
        make(name)
    control("deliveries/release")
    stand_in.deliver_due(receiver)
    assert receiver.names == ["C", "B", "A"]


def test_mode_duplicate_sends_the_same_event_twice(
    api: Any, control: Any, stand_in: StandIn, receiver: Receiver, make: Any
) -> None:
    control("deliveries", {"mode": "duplicate"})
    make("A")
    stand_in.deliver_due(receiver)
    ids = [json.loads(body)["id"] for _, body in receiver.got]
    assert len(ids) == 2
    assert len(set(ids)) == 1
    assert api.events.retrieve(ids[0]).pending_webhooks == 0


def test_mode_drop_loses_events_that_a_retry_brings_back(
    api: Any, control: Any, stand_in: StandIn, receiver: Receiver, make: Any
) -> None:
    control("deliveries", {"mode": "drop"})
    make("A")
    control("deliveries", {"mode": "normal"})
    assert stand_in.deliver_due(receiver) == 0
    lost = api.events.list({"delivery_success": False}).data
    assert [event.type for event in lost] == ["product.created"]
    headers = {"Authorization": "Bearer sk_test_x"}
    stand_in.handle(Request("POST", f"/v1/events/{lost[0].id}/retry", "", headers))
    stand_in.deliver_due(receiver)
    assert receiver.names == ["A"]
    assert api.events.list({"delivery_success": False}).data == []


def test_mode_unknown_is_refused(control: Any) -> None:
    control("deliveries", {"mode": "sideways"}, status=400)


def test_endpoint_gets_only_what_it_asked_for(
    api: Any, stand_in: StandIn, receiver: Receiver, make: Any
) -> None:
    mine = api.webhook_endpoints.list().data[0]
    api.webhook_endpoints.update(mine.id, {"enabled_events": ["price.created"]})
    product = make("A")
    api.prices.create({"product": product.id, "currency": "usd", "unit_amount": 1})
    stand_in.deliver_due(receiver)
    assert receiver.types == ["price.created"]


def test_endpoint_disabled_or_deleted_gets_nothing(
    api: Any, stand_in: StandIn, receiver: Receiver, make: Any
) -> None:
    mine = api.webhook_endpoints.list().data[0]
    make("A")
    api.webhook_endpoints.delete(mine.id)
    assert stand_in.deliver_due(receiver) == 0
    other = api.webhook_endpoints.create(
        {"url": "http://other.invalid", "enabled_events": ["*"], "api_version": stripe.api_version}
    )
    assert other.secret.startswith("whsec_")
    assert "secret" not in api.webhook_endpoints.retrieve(other.id)
    api.webhook_endpoints.update(other.id, {"disabled": True})
    make("B")
    assert stand_in.deliver_due(receiver) == 0


def test_endpoint_with_an_unknown_event_is_refused(api: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        api.webhook_endpoints.create({"url": "http://x.invalid", "enabled_events": ["no.such"]})


def test_secret_rolled_signs_with_both_until_the_overlap_ends(
    api: Any, control: Any, stand_in: StandIn, receiver: Receiver, make: Any
) -> None:
    mine = api.webhook_endpoints.list().data[0]
    second = control(f"webhook_endpoints/{mine.id}/roll", {"overlap_seconds": 60})["secret"]
    make("A")
    stand_in.deliver_due(receiver)
    control("clock", {"advance_seconds": 60})
    make("B")
    stand_in.deliver_due(receiver)
    both, alone = (headers["Stripe-Signature"] for headers, _ in receiver.got)
    body = receiver.got[0][1].decode()
    for secret in (SECRET, second):
        assert stripe.WebhookSignature.verify_header(body, both, secret)
    assert both.count("v1=") == 2
    assert alone.count("v1=") == 1


def test_signature_time_is_the_receivers_not_the_advanced_one(
    control: Any, stand_in: StandIn, receiver: Receiver, make: Any
) -> None:
    control("clock", {"advance_seconds": 40 * 24 * HOUR})
    make("A")
    stand_in.deliver_due(receiver)
    headers, body = receiver.got[0]
    assert headers["Stripe-Signature"].startswith(f"t={START},")
    assert json.loads(body)["created"] == START + 40 * 24 * HOUR


def test_reset_empties_the_account_but_keeps_the_endpoint(
    api: Any, control: Any, stand_in: StandIn, receiver: Receiver, make: Any
) -> None:
    api.webhook_endpoints.create({"url": "http://other.invalid", "enabled_events": ["*"]})
    make("A")
    control("clock", {"advance_seconds": HOUR})
    control("deliveries", {"mode": "hold"})
    control("faults", {"kind": "429", "path": "/v1/products", "times": 9})
    control("reset")
    assert api.products.list().data == []
    assert api.events.list().data == []
    assert stand_in.deliver_due(receiver) == 0
    make("B")
    stand_in.deliver_due(receiver)
    assert receiver.names == ["B"]
    assert json.loads(receiver.got[0][1])["created"] == START
