from typing import Any

import pytest

from infra.local.stripe_stand_in import money


def price(**fields: Any) -> dict[str, Any]:
    option = {"unit_amount_decimal": fields.pop("unit", None)}
    if "tiers" in fields:
        option["tiers"] = [
            {
                "up_to": up_to,
                "unit_amount_decimal": unit,
                "flat_amount_decimal": flat,
            }
            for up_to, unit, flat in fields.pop("tiers")
        ]
    return {
        "id": "price",
        "currency": "usd",
        "tiers_mode": fields.get("mode"),
        "transform_quantity": fields.get("transform"),
        "_currency_options": {"usd": option},
    }


GRADUATED = [(5, "100", "0"), (10, "50", "20"), (None, "10", "0")]


@pytest.mark.parametrize(
    ("quantity", "expected"), [(0, 0), (1, 100), (5, 500), (6, 570), (10, 770), (12, 790)]
)
def test_cost_graduated_adds_each_tier(quantity: int, expected: int) -> None:
    assert money.cost(price(tiers=GRADUATED, mode="graduated"), quantity) == expected


@pytest.mark.parametrize(("quantity", "expected"), [(1, 100), (5, 500), (6, 320), (11, 110)])
def test_cost_volume_takes_one_tier_for_all(quantity: int, expected: int) -> None:
    assert money.cost(price(tiers=GRADUATED, mode="volume"), quantity) == expected


@pytest.mark.parametrize(
    ("unit", "quantity", "expected"),
    [("0.05", 10, 1), ("0.05", 9, 0), ("0.5", 3, 2), ("1.005", 100, 101)],
)
def test_cost_below_a_minor_unit_rounds_half_up_once(
    unit: str, quantity: int, expected: int
) -> None:
    assert money.cost(price(unit=unit), quantity) == expected


@pytest.mark.parametrize(("round_", "expected"), [("up", 300), ("down", 200)])
def test_cost_of_blocks_rounds_the_quantity(round_: str, expected: int) -> None:
    transform = {"divide_by": 10, "round": round_}
    assert money.cost(price(unit="100", transform=transform), 25) == expected


def test_share_of_a_period_is_rounded(stand_in: Any) -> None:
    assert money.share(1000, 1, 3) == 333
    assert money.share(1000, 2, 3) == 667
    assert money.share(1000, 1, 0) == 0
