"""The worker of the deliver queue, at work in a test."""

from chalicelib.domain.ids import CustomerId
from chalicelib.ports import Message, QueueName
from chalicelib.services.deliver_webhooks import attempt_delivery, dispatch_event
from chalicelib.services.settle_customer import settle_customer
from tests.fakes.world import World, a_cause


def deliver(world: World) -> int:
    """Everything on the queue, and what comes of it, was worked off once; returns how much."""

    def work(message: Message) -> None:
        if "customer_id" in message.body:
            settle_customer(world.ports, a_cause(), CustomerId(message.body["customer_id"]))
        elif "event_ids" in message.body:
            for event_id in message.body["event_ids"].split(","):
                dispatch_event(world.ports, event_id)
        else:
            body = message.body
            attempt_delivery(world.ports, a_cause(), body["endpoint_id"], body["event_id"])

    done = 0
    while any(message.queue is QueueName.DELIVER for message in world.queue.messages):
        done += world.queue.drain(QueueName.DELIVER, work)
    return done
