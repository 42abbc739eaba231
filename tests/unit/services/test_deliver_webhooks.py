"""Events reach the endpoints that want them: at least once, signed, with patience, and with a record of it."""

import base64
import hashlib
import hmac
import json
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import standardwebhooks.webhooks
from standardwebhooks import Webhook, WebhookVerificationError

from chalicelib.domain.errors import NotFoundError
from chalicelib.domain.outbound_events import OutboundEvent, OutboundStatus, OutboundType
from chalicelib.domain.webhook_endpoints import (
    GIVE_UP_AFTER,
    Delivery,
    DeliveryStatus,
    EndpointStatus,
    WebhookEndpoint,
)
from chalicelib.services.deliver_webhooks import (
    attempt_delivery,
    dispatch_event,
    replay_event,
)
from chalicelib.services.manage_webhook_endpoints import (
    create_webhook_endpoint,
    delete_webhook_endpoint,
    get_webhook_endpoint,
    rotate_webhook_secret,
    try_webhook_endpoint,
    update_webhook_endpoint,
)
from chalicelib.services.outbound import announcement, commit_announced
from chalicelib.services.sweep_outbound import sweep_outbound
from tests.fakes.deliveries import deliver
from tests.fakes.webhooks import Received
from tests.fakes.world import World, a_cause

URL = "https://hooks.example.com/paygrade"


def an_endpoint(
    world: World, url: str = URL, *event_types: str, number: int = 1
) -> tuple[WebhookEndpoint, str]:
    return create_webhook_endpoint(
        world.ports,
        a_cause(f"op_{url}_{number}"),
        url=url,
        event_types=event_types or ("*",),
        description="",
        status=EndpointStatus.ENABLED,
        entropy=bytes([number]) * 32,
    )


def happened(
    world: World, kind: OutboundType = OutboundType.SYNC_FAILED, **data: Any
) -> OutboundEvent:
    put = announcement(world.ports, kind, data, customer_id="acme")
    commit_announced(world.ports, put)
    assert isinstance(put.record, OutboundEvent)
    return put.record


def delivery_of(world: World, endpoint: WebhookEndpoint, event: OutboundEvent) -> Delivery:
    found = world.store.get(Delivery, endpoint.id, event.id)
    assert found is not None
    return found


def next_minute(world: World) -> int:
    """The sweep ran a minute later; returns how many requests that made."""
    before = len(world.webhooks.received)
    world.clock.advance(minutes=1)
    sweep_outbound(world.ports)
    deliver(world)
    return len(world.webhooks.received) - before


# --- What is sent -------------------------------------------------------------------------------------------------


def test_event_is_delivered_with_its_data() -> None:
    world = World()
    endpoint, _ = an_endpoint(world)
    event = happened(world, number=1)
    deliver(world)
    (received,) = world.webhooks.received
    assert received.url == URL
    assert received.headers["content-type"] == "application/json"
    assert json.loads(received.body) == {
        "object": "event",
        "id": event.id,
        "type": "sync.failed",
        "timestamp": "2026-01-15T12:00:00Z",
        "environment": world.ports.environment.name,
        "data": {"number": 1},
    }
    delivery = delivery_of(world, endpoint, event)
    assert (delivery.status, delivery.attempts) == (DeliveryStatus.SUCCEEDED, 1)
    assert delivery.response_status == 200


def verified(world: World, received: Received, secret: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the Standard Webhooks library makes of the request, at this world's time."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return world.clock.now()

    monkeypatch.setattr(standardwebhooks.webhooks, "datetime", Then)
    return Webhook(secret).verify(received.body, received.headers)


def test_signature_satisfies_the_standard_webhooks_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    _, secret = an_endpoint(world)
    event = happened(world, text="ünïcödé ✓")
    deliver(world)
    (received,) = world.webhooks.received
    assert verified(world, received, secret, monkeypatch)["id"] == event.id
    tampered = Received(received.url, received.headers, received.body.replace(b"sync", b"sing"))
    other_id = {**received.headers, "webhook-id": "event_other"}
    for wrong in (tampered, Received(received.url, other_id, received.body)):
        with pytest.raises(WebhookVerificationError):
            verified(world, wrong, secret, monkeypatch)
    world.clock.advance(minutes=6)
    with pytest.raises(WebhookVerificationError):
        verified(world, received, secret, monkeypatch)


def test_signature_is_the_documented_one() -> None:
    world = World()
    _, secret = an_endpoint(world)
    happened(world)
    deliver(world)
    (received,) = world.webhooks.received
    headers = received.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + received.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert len(key) == 32


def test_rotated_secret_signs_beside_the_old_one_for_a_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    endpoint, old = an_endpoint(world)
    _, new = rotate_webhook_secret(world.ports, a_cause("rotate"), endpoint.id, b"\x09" * 32)
    assert new != old
    happened(world)
    deliver(world)
    both = world.webhooks.received[-1]
    assert verified(world, both, old, monkeypatch) == verified(world, both, new, monkeypatch)
    world.clock.advance(hours=24)
    happened(world)
    deliver(world)
    alone = world.webhooks.received[-1]
    verified(world, alone, new, monkeypatch)
    with pytest.raises(WebhookVerificationError):
        verified(world, alone, old, monkeypatch)


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        (("*",), True),
        (("sync.failed",), True),
        (("sync.*",), True),
        (("subscription.*", "sync.*"), True),
        (("subscription.*",), False),
        (("trial.ended",), False),
    ],
)
def test_endpoint_gets_what_it_asked_for(patterns: tuple[str, ...], wanted: bool) -> None:
    world = World()
    an_endpoint(world, URL, *patterns)
    happened(world)
    deliver(world)
    assert len(world.webhooks.received) == wanted


def test_every_endpoint_gets_its_own_delivery() -> None:
    world = World()
    first, _ = an_endpoint(world, "https://a.example.com/")
    second, _ = an_endpoint(world, "https://b.example.com/")
    world.webhooks.answers = [500, 200]
    event = happened(world)
    deliver(world)
    statuses = {delivery_of(world, one, event).status for one in (first, second)}
    assert statuses == {DeliveryStatus.PENDING, DeliveryStatus.SUCCEEDED}


def test_event_that_nobody_wants_is_dispatched_to_nobody() -> None:
    world = World()
    event = happened(world)
    deliver(world)
    stored = world.store.get(OutboundEvent, event.id)
    assert stored is not None
    assert stored.status is OutboundStatus.DISPATCHED
    assert world.store.all(Delivery) == []


# --- At least once ------------------------------------------------------------------------------------------------


def test_repeated_messages_send_once() -> None:
    world = World()
    endpoint, _ = an_endpoint(world)
    event = happened(world)
    deliver(world)
    for _ in range(3):
        dispatch_event(world.ports, event.id)
        attempt_delivery(world.ports, a_cause(), endpoint.id, event.id)
    assert len(world.webhooks.received) == 1


def test_event_whose_message_was_lost_is_sent_by_the_sweep() -> None:
    world = World()
    an_endpoint(world)
    world.queue.down = True
    happened(world)
    world.queue.down = False
    assert next_minute(world) == 0  # its message has had its chance only after that minute
    world.clock.advance(seconds=1)
    assert next_minute(world) == 1


def test_delivery_whose_message_was_lost_is_sent_by_the_sweep() -> None:
    world = World()
    an_endpoint(world)
    event = happened(world)
    world.queue.down = True
    dispatch_event(world.ports, event.id)
    world.queue.down = False
    world.queue.messages.clear()
    world.clock.advance(seconds=1)
    assert next_minute(world) == 1


def test_worker_that_died_while_sending_leaves_a_delivery_that_is_due_again() -> None:
    world = World()
    endpoint, _ = an_endpoint(world)
    event = happened(world)
    dispatch_event(world.ports, event.id)

    class DeadError(BaseException):
        pass

    def die(*_: object, **__: object) -> Any:
        raise DeadError

    kept, world.webhooks.send = world.webhooks.send, die  # type: ignore[method-assign]  # the process ends here
    with pytest.raises(DeadError):
        attempt_delivery(world.ports, a_cause(), endpoint.id, event.id)
    world.webhooks.send = kept  # type: ignore[method-assign]
    assert delivery_of(world, endpoint, event).attempts == 1
    assert next_minute(world) == 1
    assert delivery_of(world, endpoint, event).status is DeliveryStatus.SUCCEEDED


def test_two_workers_at_once_make_one_attempt() -> None:
    world = World()
    endpoint, _ = an_endpoint(world)
    event = happened(world)
    dispatch_event(world.ports, event.id)

    def overtake(_: object) -> None:
        world.store.before_commit = None
        attempt_delivery(world.ports, a_cause(), endpoint.id, event.id)

    world.store.before_commit = overtake
    attempt_delivery(world.ports, a_cause(), endpoint.id, event.id)
    assert len(world.webhooks.received) == 1


# --- Patience -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [500, 503, 404, 400, 302, 429, "timeout", "not_resolved"])
def test_failed_attempt_is_made_again_until_it_succeeds(answer: int | str) -> None:
    world = World()
    endpoint, _ = an_endpoint(world)
    world.webhooks.answers = [answer, answer, answer]
    event = happened(world)
    deliver(world)
    first = delivery_of(world, endpoint, event)
    assert first.status is DeliveryStatus.PENDING
    assert first.error == (answer if isinstance(answer, str) else f"http_{answer}")
    while delivery_of(world, endpoint, event).status is DeliveryStatus.PENDING:
        next_minute(world)
    done = delivery_of(world, endpoint, event)
    assert (done.status, done.attempts, done.error) == (DeliveryStatus.SUCCEEDED, 4, None)
    assert world.clock.now() - done.created_at < timedelta(minutes=10)
    bodies = {one.body for one in world.webhooks.received}
    assert len(bodies) == 1
    assert {one.headers["webhook-id"] for one in world.webhooks.received} == {event.id}


def test_endpoint_that_never_answers_is_given_up_after_three_days() -> None:
    world = World()
    endpoint, _ = an_endpoint(world)
    world.webhooks.answers = ["timeout"] * 100
    event = happened(world)
    deliver(world)
    times = [world.clock.now()]
    while delivery_of(world, endpoint, event).status is DeliveryStatus.PENDING:
        if next_minute(world):
            times.append(world.clock.now())
    failed = delivery_of(world, endpoint, event)
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert failed.status is DeliveryStatus.FAILED
    assert GIVE_UP_AFTER - timedelta(hours=6) <= times[-1] - times[0] <= GIVE_UP_AFTER
    assert 15 <= failed.attempts <= 30
    assert max(waits) <= timedelta(hours=6, minutes=2)
    assert waits[0] <= timedelta(minutes=2)
    assert len(failed.log) <= 20
    world.clock.advance(days=1)
    assert next_minute(world) == 0


def test_waits_differ_between_deliveries() -> None:
    world = World()
    an_endpoint(world)
    world.webhooks.answers = [500] * 20
    for _ in range(20):
        happened(world)
    deliver(world)
    assert len({one.next_attempt_at for one in world.store.all(Delivery)}) == 20


def test_endpoint_that_is_gone_is_disabled_and_gets_nothing_more() -> None:
    world = World()
    endpoint, _ = an_endpoint(world)
    world.webhooks.answers = [410]
    first = happened(world)
    deliver(world)
    stored = get_webhook_endpoint(world.ports, endpoint.id)
    assert (stored.status, stored.disabled_reason) == (EndpointStatus.DISABLED, "gone")
    assert delivery_of(world, endpoint, first).status is DeliveryStatus.FAILED
    assert (
        world.audited(f"webhook_endpoint:{endpoint.id}")[-1].action == "webhook_endpoint.disabled"
    )
    happened(world)
    deliver(world)
    assert len(world.webhooks.received) == 1
    enabled = update_webhook_endpoint(
        world.ports, a_cause("enable"), endpoint.id, {"status": EndpointStatus.ENABLED}
    )
    assert enabled.disabled_reason is None
    happened(world)
    deliver(world)
    assert len(world.webhooks.received) == 2


@pytest.mark.parametrize(
    ("how", "error"), [("delete", "endpoint_deleted"), ("disable", "endpoint_disabled")]
)
def test_delivery_to_an_endpoint_that_is_no_more_is_given_up(how: str, error: str) -> None:
    world = World()
    endpoint, _ = an_endpoint(world)
    world.webhooks.answers = [500]
    event = happened(world)
    deliver(world)
    if how == "delete":
        delete_webhook_endpoint(world.ports, a_cause("away"), endpoint.id)
    else:
        changes = {"status": EndpointStatus.DISABLED}
        update_webhook_endpoint(world.ports, a_cause("away"), endpoint.id, changes)
    next_minute(world)
    next_minute(world)
    given_up = delivery_of(world, endpoint, event)
    assert (given_up.status, given_up.error) == (DeliveryStatus.FAILED, error)
    assert len(world.webhooks.received) == 1


def test_endpoint_whose_address_turned_inner_is_not_spoken_to() -> None:
    world = World()
    endpoint, _ = an_endpoint(world)
    world.webhooks.refused.add(URL)
    event = happened(world)
    deliver(world)
    assert world.webhooks.received == []
    assert delivery_of(world, endpoint, event).error == "address_not_allowed"


# --- Replaying and trying -----------------------------------------------------------------------------------------


def test_replayed_event_is_sent_again_under_its_id() -> None:
    world = World()
    endpoint, _ = an_endpoint(world)
    event = happened(world)
    deliver(world)
    later, _ = an_endpoint(world, "https://later.example.com/")
    replay_event(world.ports, a_cause("replay"), event.id)
    deliver(world)
    ids = [one.headers["webhook-id"] for one in world.webhooks.received]
    assert ids == [event.id] * 3
    assert delivery_of(world, endpoint, event).status is DeliveryStatus.SUCCEEDED
    assert delivery_of(world, later, event).status is DeliveryStatus.SUCCEEDED
    assert world.audited(f"outbound_event:{event.id}")[-1].action == "outbound_event.replayed"


def test_replay_of_an_unknown_event_finds_nothing() -> None:
    with pytest.raises(NotFoundError):
        replay_event(World().ports, a_cause(), "event_unknown")


def test_failed_delivery_can_be_replayed() -> None:
    world = World()
    endpoint, _ = an_endpoint(world)
    world.webhooks.answers = ["timeout"] * 100
    event = happened(world)
    deliver(world)
    while delivery_of(world, endpoint, event).status is DeliveryStatus.PENDING:
        next_minute(world)
    world.webhooks.answers = []
    replay_event(world.ports, a_cause("replay"), event.id)
    deliver(world)
    assert delivery_of(world, endpoint, event).status is DeliveryStatus.SUCCEEDED


@pytest.mark.parametrize("answer", [200, 500, "timeout"])
def test_trying_an_endpoint_tells_what_came_of_it_and_retries_nothing(answer: int | str) -> None:
    world = World()
    endpoint, _ = an_endpoint(world, URL, "trial.*")
    world.webhooks.answers = [answer]
    tried = try_webhook_endpoint(world.ports, a_cause("try"), endpoint.id)
    assert tried.event_type is OutboundType.WEBHOOK_TEST
    assert tried.status is (DeliveryStatus.SUCCEEDED if answer == 200 else DeliveryStatus.FAILED)
    assert tried.error == (None if answer == 200 else answer if answer == "timeout" else "http_500")
    assert delivery_of(world, endpoint, world.store.all(OutboundEvent)[-1]) == tried
    world.clock.advance(days=4)
    assert next_minute(world) == 0
