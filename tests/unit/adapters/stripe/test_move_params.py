"""What a move sends to Stripe, of what Stripe holds."""

import pytest

from chalicelib.adapters.billing.stripe.move_params import update_params
from chalicelib.domain.price_moves import Proration


@pytest.mark.parametrize("held", [None, {}, {"a": "1"}, {"a": "1", "gone": ""}])
def test_update_of_metadata_that_is_so_already_needs_nothing(held: dict[str, str] | None) -> None:
    wanted = {**(held or {}), "gone": ""}
    assert update_params({"metadata": held}, [], [], Proration.NONE, wanted) is None


@pytest.mark.parametrize("held", [{}, {"a": "1", "gone": "old"}, {"a": "2"}])
def test_update_of_metadata_that_differs_sends_all_of_it(held: dict[str, str]) -> None:
    wanted = {"a": "1", "gone": ""}
    params = update_params({"metadata": held}, [], [], Proration.NONE, wanted)
    assert params == {"metadata": wanted}
