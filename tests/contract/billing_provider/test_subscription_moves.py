"""Changing what a subscription charges, now or with its next period, and what that costs."""

from collections.abc import Mapping

import pytest

from chalicelib.domain.billing import ChangePreview, ProviderItem, ProviderSubscription
from chalicelib.domain.errors import ProviderRefusedError
from chalicelib.domain.price_moves import ItemMove, Proration
from chalicelib.ports import (
    ChangePreviews,
    ScheduledChanges,
    SubscriptionChanges,
    SubscriptionEnding,
)
from tests.contract.billing_provider.samples import subscribed
from tests.contract.billing_provider.worlds import ChangingWorld, World

METADATA = {"paygrade_plan_version": "pro=2"}


def line(held: ProviderSubscription, quantity: int) -> ProviderItem:
    (found,) = (item for item in held.items if item.quantity == quantity)
    return found


def to_seats(held: ProviderSubscription, number: int) -> ItemMove:
    """The three seats become this many."""
    seats = line(held, 3).price_billing_id
    return ItemMove(from_price=seats, to_price=seats, quantity=number)


def move(
    world: World,
    held: ProviderSubscription,
    change: ItemMove,
    *,
    later: bool = False,
    key: str = "move",
    metadata: Mapping[str, str] = METADATA,
) -> ProviderSubscription:
    assert isinstance(world.provider, SubscriptionChanges)
    return world.provider.move_prices(
        held.billing_id,
        [change],
        proration=Proration.NONE if later else Proration.CREATE,
        at_period_end=later,
        metadata=metadata,
        idempotency_key=key,
    )


def scheduling(world: World) -> ScheduledChanges:
    assert isinstance(world.provider, ScheduledChanges)
    return world.provider


def test_move_now_shows_the_new_lines_and_metadata(changing_world: ChangingWorld) -> None:
    held = subscribed(changing_world)
    moved = move(changing_world, held, to_seats(held, 7))
    assert sorted(item.quantity or 0 for item in moved.items) == [1, 7]
    assert moved.metadata["paygrade_plan_version"] == "pro=2"
    assert move(changing_world, held, to_seats(held, 7)) == moved


def test_move_now_with_an_empty_mark_removes_it(changing_world: ChangingWorld) -> None:
    held = subscribed(changing_world)
    move(changing_world, held, to_seats(held, 7), metadata={"gone": "soon", "stays": "1"})
    moved = move(changing_world, held, to_seats(held, 7), metadata={"gone": ""}, key="second")
    assert moved.metadata == {**held.metadata, "stays": "1"}
    again = move(changing_world, held, to_seats(held, 7), metadata={"gone": ""}, key="third")
    assert again == moved


def test_move_with_the_period_with_an_empty_mark_removes_it_then(
    changing_world: ChangingWorld,
) -> None:
    held = subscribed(changing_world)
    held = move(changing_world, held, to_seats(held, 3), metadata={"gone": "soon"})
    wish = {"gone": "", "stays": "1"}
    moved = move(changing_world, held, to_seats(held, 7), later=True, key="x", metadata=wish)
    assert moved.metadata["gone"] == "soon"
    assert moved.scheduled is not None
    assert "gone" not in moved.scheduled.metadata
    assert moved.scheduled.metadata["stays"] == "1"
    again = move(changing_world, held, to_seats(held, 7), later=True, key="y", metadata=wish)
    assert again == moved
    changing_world.pass_period(held.billing_id)
    after = changing_world.provider.get_subscription(held.billing_id)
    assert after is not None
    assert "gone" not in after.metadata
    assert after.metadata["stays"] == "1"
    assert sorted(item.quantity or 0 for item in after.items) == [1, 7]
    assert after.scheduled is None
    assert after.current_period_start == held.current_period_end


def test_move_with_the_period_is_told_as_what_is_to_come(changing_world: ChangingWorld) -> None:
    held = subscribed(changing_world)
    moved = move(changing_world, held, to_seats(held, 7), later=True)
    assert moved.items == held.items
    assert moved.scheduled is not None
    assert moved.scheduled.at == held.current_period_end
    assert sorted(item.quantity or 0 for item in moved.scheduled.items) == [1, 7]
    assert moved.scheduled.metadata["paygrade_plan_version"] == "pro=2"
    (listed,) = changing_world.provider.list_subscriptions(held.customer_billing_id)
    assert listed == moved


def test_move_with_the_period_replaces_an_earlier_one(changing_world: ChangingWorld) -> None:
    held = subscribed(changing_world)
    move(changing_world, held, to_seats(held, 7), later=True)
    moved = move(changing_world, held, to_seats(held, 2), later=True, key="other")
    assert moved.scheduled is not None
    assert sorted(item.quantity or 0 for item in moved.scheduled.items) == [1, 2]


def test_scheduled_move_dropped_is_gone(changing_world: ChangingWorld) -> None:
    held = subscribed(changing_world)
    move(changing_world, held, to_seats(held, 7), later=True)
    dropped = scheduling(changing_world).drop_scheduled(held.billing_id, "drop")
    assert (dropped.scheduled, dropped.items) == (None, held.items)
    assert scheduling(changing_world).drop_scheduled(held.billing_id, "drop") == dropped


def test_move_now_drops_what_was_scheduled(changing_world: ChangingWorld) -> None:
    held = subscribed(changing_world)
    move(changing_world, held, to_seats(held, 7), later=True)
    moved = move(changing_world, held, to_seats(held, 5), key="now")
    assert moved.scheduled is None
    assert sorted(item.quantity or 0 for item in moved.items) == [1, 5]


def test_end_with_the_period_drops_what_was_scheduled(changing_world: ChangingWorld) -> None:
    held = subscribed(changing_world)
    move(changing_world, held, to_seats(held, 7), later=True)
    assert isinstance(changing_world.provider, SubscriptionEnding)
    going = changing_world.provider.end_subscription(held.billing_id, at=held.current_period_end)
    assert (going.scheduled, going.cancel_at) == (None, held.current_period_end)


def test_ended_subscription_takes_no_move(changing_world: ChangingWorld) -> None:
    held = subscribed(changing_world)
    changing_world.cancel(held.billing_id)
    with pytest.raises(ProviderRefusedError):
        move(changing_world, held, to_seats(held, 7))


def preview(world: World, proration: Proration, *, later: bool = False) -> ChangePreview:
    provider = world.provider
    if not isinstance(provider, ChangePreviews):
        pytest.skip("this provider tells no costs before")
    held = subscribed(world)
    world.clock.sleep((held.current_period_end - held.current_period_start).total_seconds() / 2)  # type: ignore[operator]
    before = provider.get_subscription(held.billing_id)
    told = provider.preview_moves(
        held.billing_id, [to_seats(held, 5)], proration=proration, at_period_end=later
    )
    assert provider.get_subscription(held.billing_id) == before
    return told


def test_preview_settled_now_tells_the_difference_and_the_next_invoice(
    changing_world: ChangingWorld,
) -> None:
    told = preview(changing_world, Proration.INVOICE_NOW)
    assert told.now is not None
    assert (told.now.due, told.now.currency) == (700, "usd")  # half of two seats more at 7.00
    assert all(one.is_proration for one in told.now.lines)
    assert told.following is not None
    assert told.following.due == 1000 + 5 * 700


def test_preview_settled_later_adds_the_difference_to_the_next_invoice(
    changing_world: ChangingWorld,
) -> None:
    told = preview(changing_world, Proration.CREATE)
    assert told.now is None
    assert told.following is not None
    assert told.following.due == 700 + 1000 + 5 * 700


@pytest.mark.parametrize("later", [False, True])
def test_preview_without_settling_tells_the_next_invoice(
    changing_world: ChangingWorld, *, later: bool
) -> None:
    told = preview(changing_world, Proration.NONE, later=later)
    assert told.now is None
    assert told.following is not None
    assert told.following.due == 1000 + 5 * 700
