"""A preview of no change at all is what comes next by itself."""

from chalicelib.domain.price_moves import Proration
from chalicelib.ports import ChangePreviews
from tests.contract.billing_provider.samples import subscribed
from tests.contract.billing_provider.worlds import DiscountingWorld


def test_preview_of_no_change_is_the_next_regular_invoice(
    discounting_world: DiscountingWorld,
) -> None:
    held = subscribed(discounting_world)
    assert isinstance(discounting_world.provider, ChangePreviews)
    told = discounting_world.provider.preview_moves(
        held.billing_id, (), proration=Proration.NONE, at_period_end=True
    )
    assert told.now is None
    assert told.following is not None
    assert told.following.at == held.current_period_end
    assert told.following.total == 1000 + 3 * 700
    assert not any(line.is_proration for line in told.following.lines)
