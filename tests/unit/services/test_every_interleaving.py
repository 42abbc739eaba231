"""Two workers on one customer, in every order of their steps: what each did is there, and nothing else.

A step ends before each commit, each call of the provider and each read of a fence. A share of the orders in every run
of the tests, spread over all; all of them with PAYGRADE_TESTS=whole.
"""

from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.domain.errors import (
    BusyError,
    ProviderRefusedError,
    StoreConflictError,
    SubscriptionEndedError,
)
from chalicelib.domain.subscription_ends import Ending, When
from chalicelib.domain.subscriptions import ENDED, SubscriptionStatus
from chalicelib.services.cancel_subscription import cancel_subscription
from chalicelib.services.pause_subscription import pause_subscription
from chalicelib.services.resume_subscription import resume_subscription
from tests.fakes.changing import ChangeShop, a_shop_with
from tests.fakes.crashes import every_interleaving
from tests.fakes.world import World, a_cause
from tests.whole import WHOLE

Worker = Callable[[World], Any]
AT_MOST = None if WHOLE else 120


def subscription_id(world: World) -> str:
    return world.subscriptions()[0].id


def converge(world: World) -> None:
    world.converge()


def past_due_and_converge(world: World) -> None:
    """The provider's truth changes, and somebody notices."""
    billing_id = world.subscriptions()[0].billing_id
    assert billing_id is not None
    world.billing.edit_subscription(billing_id, status=SubscriptionStatus.PAST_DUE)
    world.converge()


def ended_there_and_converge(world: World) -> None:
    billing_id = world.subscriptions()[0].billing_id
    assert billing_id is not None
    world.billing.cancel(billing_id)
    world.converge()


def cancel(world: World) -> None:
    cancel_subscription(
        world.ports, a_cause("cancel"), subscription_id(world), Ending(when=When.IMMEDIATE)
    )


def cancel_later(world: World) -> None:
    cancel_subscription(
        world.ports, a_cause("later"), subscription_id(world), Ending(when=When.END_OF_PERIOD)
    )


def resume(world: World) -> None:
    resume_subscription(world.ports, a_cause("resume"), subscription_id(world))


def pause(world: World) -> None:
    pause_subscription(world.ports, a_cause("pause"), subscription_id(world))


PAIRS: dict[str, tuple[Worker, Worker]] = {
    "two that notice": (converge, converge),
    "one that notices late": (converge, past_due_and_converge),
    "one that notices an end late": (converge, ended_there_and_converge),
    "a cancellation and one that notices": (cancel, past_due_and_converge),
    "two cancellations": (cancel, cancel),
    "a cancellation and one for later": (cancel, cancel_later),
    "a cancellation for later and its taking back": (cancel_later, resume),
    "a pause and a cancellation": (pause, cancel),
}
# What a worker may be told when the other was first.
LATE = (SubscriptionEndedError, ProviderRefusedError, BusyError, StoreConflictError)


@pytest.mark.parametrize("pair", PAIRS)
def test_two_workers_in_every_order_leave_the_providers_truth(pair: str) -> None:
    first, second = PAIRS[pair]
    tried = 0
    for world, race, schedule in every_interleaving(shop, first, second, at_most=AT_MOST):
        tried += 1
        assert all(error is None or isinstance(error, LATE) for error in race.errors), (
            schedule,
            race.errors,
        )
        (held,) = world.subscriptions()
        (truth,) = world.billing.subscriptions.values()
        assert (held.status, held.cancel_at) == (truth.status, truth.cancel_at), schedule
        assert world.check("calls").decision.has_access is (
            truth.status not in ENDED and truth.status is not SubscriptionStatus.PAUSED
        )
        assert not world.converge().changed, schedule
        versions = [entry.id for entry in world.audited(f"subscription:{held.id}")]
        assert len(versions) == len(set(versions))
    assert tried >= 2


def shop() -> ChangeShop:
    return a_shop_with("pro")
