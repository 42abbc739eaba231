"""The example price lists, applied to a whole environment and carried to Stripe."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chalicelib.domain.sync import SyncTask, SyncTaskStatus
from infra.cli import session
from infra.cli.catalog_file import document_in
from infra.local.stripe_stand_in.money import option_for
from tests.fakes.stripe_shop import StripeShop
from tests.unit.cli.conftest import Shell
from tests.unit.cli.environments import answer_of, new_client, stripe_world

FOLDER = Path(__file__).parents[3] / "infra" / "examples"
EXAMPLES = sorted(FOLDER.glob("*.yaml"))
INTERVALS = ("day", "week", "month", "year")


def priced(catalog: dict[str, Any]) -> dict[tuple[Any, ...], int]:
    """How many prices of each money the file has, by what Stripe knows of a price."""
    found: dict[tuple[Any, ...], int] = {}
    for package in (*catalog.get("addons", ()), *catalog["plans"]):
        for price in () if package.get("archived") else package.get("prices", ()):
            amount = price.get("amount", price.get("amount_decimal"))
            money = (
                price["currency"],
                price.get("billing_period"),
                price.get("interval_count", 1) if "billing_period" in price else None,
                None if amount is None else Decimal(amount),
                price["model"] == "usage_based",
                price.get("block_size"),
                price.get("tiers_mode"),
                tuple(
                    (tier.get("up_to"), _of(tier, "unit_amount")) for tier in price.get("tiers", ())
                ),
            )
            found[money] = found.get(money, 0) + 1
    return found


def billed(shop: StripeShop) -> dict[tuple[Any, ...], int]:
    """How many active prices of each money Stripe has."""
    found: dict[tuple[Any, ...], int] = {}
    for price in shop.objects("price"):
        recurring = price["recurring"] or {}
        is_tiered = price["billing_scheme"] == "tiered"
        divided = price.get("transform_quantity")
        tiers = option_for(price, price["currency"]).get("tiers") or ()
        money = (
            price["currency"],
            recurring.get("interval"),
            recurring.get("interval_count"),
            None if is_tiered else _of(price, "unit_amount"),
            recurring.get("usage_type") == "metered",
            divided and divided["divide_by"],
            price["tiers_mode"] if is_tiered else None,
            tuple((tier["up_to"], _of(tier, "unit_amount")) for tier in tiers),
        )
        if price["active"]:
            found[money] = found.get(money, 0) + 1
    return found


def _of(price: dict[str, Any], name: str) -> Decimal:
    whole = price.get(name)
    return Decimal(whole if whole is not None else price.get(f"{name}_decimal") or 0)


def test_there_are_four_examples() -> None:
    assert [one.stem for one in EXAMPLES] == [
        "feature_tiers",
        "infrastructure",
        "model_api",
        "seats",
    ]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda one: one.stem)
def test_example_is_applied_and_reaches_stripe_price_by_price(
    file: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, shop = stripe_world()
    monkeypatch.setattr(session, "new_client", new_client(world))

    def paygrade(*args: str) -> Any:
        url = f"https://{world.environment}.test"
        return shell("catalog", *args, PAYGRADE_API_URL=url, PAYGRADE_API_KEY="k")

    planned = paygrade("plan", str(file))
    assert planned.exit_code == 2, planned.output
    applied = paygrade("apply", str(file), "--yes")
    assert applied.exit_code == 0, applied.output
    shop.sync()
    assert {task.status for task in shop.store.all(SyncTask)} == {SyncTaskStatus.SUCCEEDED}
    document = document_in(file.read_text(), file.name)
    assert billed(shop) == priced(document)
    for kind in ("addons", "plans"):
        for one in answer_of(world, "GET", f"/v1/{kind}")["data"]:
            assert shop.steps_left(kind[:-1], one["id"]) == 0
            wanted = "synced" if one["pricing_type"] == "paid" else "not_required"
            assert (one["status"], one["sync_status"]) == ("published", wanted)
    assert paygrade("plan", str(file)).exit_code == 0
    copy = Path("copy.yaml")
    copy.write_bytes(file.read_bytes())
    assert paygrade("pull", "copy.yaml").exit_code == 0
    # What is archived and was never there is not made, and so not pulled.
    left_out = any(one.get("archived") for one in document["plans"])
    assert (copy.read_bytes() == file.read_bytes()) is not left_out
