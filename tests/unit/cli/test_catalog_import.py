"""A catalog that others made at Stripe: imported, applied to another environment, and there at its Stripe again."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from chalicelib.domain.sync import SyncTask, SyncTaskStatus
from chalicelib.ports import Providers
from infra.cli import session
from infra.cli.catalog_file import document_in
from infra.local.stripe_stand_in.in_process import client_for
from tests.fakes.billing import FakeProviders
from tests.fakes.stripe_shop import StripeShop
from tests.unit.api.world import World
from tests.unit.cli.conftest import Shell
from tests.unit.cli.environments import answer_of, new_client, stripe_world

Json = dict[str, Any]
MONTH: Json = {"interval": "month"}
OURS = {"paygrade_entity_id": "x"}


def money(price: Json) -> Counter[tuple[Any, ...]]:
    """What Stripe charges by the price, once for each of its currencies."""
    recurring = price["recurring"] or {}
    blocks = price["transform_quantity"] or {}
    found: Counter[tuple[Any, ...]] = Counter()
    for currency, option in price["_currency_options"].items():
        tiers = tuple(
            (tier["up_to"], _of(tier, "unit_amount"), _of(tier, "flat_amount"))
            for tier in option.get("tiers") or ()
        )
        found[
            currency,
            recurring.get("interval"),
            recurring.get("interval_count"),
            recurring.get("usage_type"),
            None if tiers else _of(option, "unit_amount"),
            price["tiers_mode"],
            tiers,
            blocks.get("divide_by"),
        ] += 1
    return found


def _of(value: Json, name: str) -> Decimal:
    return Decimal(value[f"{name}_decimal"] or 0)


def sold(shop: StripeShop) -> Counter[tuple[Any, ...]]:
    total: Counter[tuple[Any, ...]] = Counter()
    for price in shop.objects("price"):
        if price["active"]:
            total += money(price)
    return total


def furnish(api: Any) -> dict[str, str]:
    """A foreign catalog; the ids of what can't be imported, by the reason."""

    def product(name: str, **fields: Any) -> str:
        made: str = api.products.create({"name": name, **fields}).id
        return made

    def price(of: str, **fields: Any) -> str:
        made: str = api.prices.create({"product": of, "currency": "usd", **fields}).id
        return made

    meters = {
        formula: api.billing.meters.create(
            {
                "event_name": f"calls_{formula}",
                "display_name": f"Calls {formula}",
                "default_aggregation": {"formula": formula},
            }
        ).id
        for formula in ("sum", "count", "last")
    }
    pro = product("Pro", description="For teams.", metadata={"team": "a"})
    price(
        pro,
        unit_amount=2900,
        recurring=MONTH,
        currency_options={"eur": {"unit_amount": 2700}, "jpy": {"unit_amount": 4000}},
    )
    price(pro, unit_amount=29000, recurring={"interval": "year"})
    price(pro, unit_amount=1900, recurring=MONTH)
    price(pro, unit_amount=7900, recurring={"interval": "month", "interval_count": 3})
    price(pro, unit_amount=9900)
    price(product("Pro"), unit_amount_decimal=Decimal("0.5"), recurring={"interval": "week"})
    seats = product("Seats", unit_label="seat")
    price(seats, unit_amount=900, recurring=MONTH)
    price(
        seats,
        billing_scheme="tiered",
        tiers_mode="volume",
        tiers=[{"up_to": 5, "unit_amount": 500}, {"up_to": "inf", "unit_amount": 400}],
        recurring={"interval": "year"},
    )
    blocks = product("Blocks")
    price(
        blocks,
        unit_amount=100,
        transform_quantity={"divide_by": 1000, "round": "up"},
        recurring=MONTH,
    )
    usage = product("Usage")
    for meter in meters.values():
        price(
            usage,
            billing_scheme="tiered",
            tiers_mode="graduated",
            tiers=[
                {"up_to": 100, "flat_amount": 1000},
                {"up_to": "inf", "unit_amount_decimal": Decimal("0.0125")},
            ],
            recurring={**MONTH, "usage_type": "metered", "meter": meter},
            currency_options={
                "eur": {"tiers": [{"up_to": "inf", "unit_amount_decimal": Decimal("0.01")}]}
            },
        )
    left = {
        "custom_unit_amount": price(pro, custom_unit_amount={"enabled": True}),
        "rounds_down": price(
            blocks,
            unit_amount=100,
            transform_quantity={"divide_by": 10, "round": "down"},
            recurring=MONTH,
        ),
        "unknown_currency": price(pro, unit_amount=5, currency="zzz", recurring=MONTH),
        "archived": price(pro, unit_amount=5, recurring=MONTH, active=False),
        "managed": product("Ours", metadata=OURS),
        "no_prices": product("Empty"),
        "out_of_range": price(pro, unit_amount=100_000_000, recurring=MONTH),
    }
    launch = api.coupons.create({"name": "Launch", "percent_off": 12.5}).id
    api.promotion_codes.create(
        {"promotion": {"type": "coupon", "coupon": launch}, "code": "LAUNCH"}
    )
    api.coupons.create(
        {
            "id": "ten",
            "amount_off": 1000,
            "currency": "usd",
            "currency_options": {"eur": {"amount_off": 900}},
            "duration": "repeating",
            "duration_in_months": 3,
            "max_redemptions": 5,
        }
    )
    left["applies_to"] = api.coupons.create(
        {"percent_off": 50, "applies_to": {"products": [pro]}}
    ).id
    return left


def left_out(shop: StripeShop, left: dict[str, str]) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for price in shop.objects("price"):
        if price["active"] and price["id"] in left.values():
            found += money(price)
    return found


def named(world: World, name: str) -> World:
    world.environment = name
    return world


def test_foreign_catalog_imported_and_applied_elsewhere_has_each_price_at_stripe(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old, source), (new, target) = stripe_world(), stripe_world()
    named(old, "old"), named(new, "new")
    monkeypatch.setattr(session, "new_client", new_client(old, new))
    left = furnish(client_for(source.stand_in).v1)

    def paygrade(stage: str, *args: str) -> Any:
        url = f"https://{stage}.test"
        return shell("catalog", *args, PAYGRADE_API_URL=url, PAYGRADE_API_KEY="k")

    before = source.objects("price"), dict(source.store.records)
    drafted = paygrade("old", "import", "prices.yaml")
    assert drafted.exit_code == 0, drafted.output
    assert source.objects("price") == before[0]
    for reason, billing_id in left.items():
        assert any(
            "skipped" in line and billing_id in line and reason in line
            for line in drafted.stdout.splitlines()
        ), reason
    again = paygrade("old", "import", "prices.yaml")
    assert again.exit_code == 1

    applied = paygrade("new", "apply", "prices.yaml", "--yes")
    assert applied.exit_code == 0, applied.output
    target.sync()
    assert {task.status for task in target.store.all(SyncTask)} == {SyncTaskStatus.SUCCEEDED}
    assert sold(target) == sold(source) - left_out(source, left)
    document = document_in(Path("prices.yaml").read_text(), "prices.yaml")
    coupons = {one["name"]: one for one in document["coupons"]}
    assert coupons["Launch"]["promotion_code"] == "LAUNCH"
    assert coupons["ten"]["amounts_off"] == [
        {"amount": 1000, "currency": "usd"},
        {"amount": 900, "currency": "eur"},
    ]
    assert {one["id"] for one in document["features"]} == {
        "seat",
        "blocks-units",
        "calls-sum",
        "calls-count",
        "calls-last",
    }
    assert [one["id"] for one in document["products"]] == ["imported"]


def test_own_catalog_is_no_part_of_an_import_and_an_import_is_made_once() -> None:
    world, shop = stripe_world()
    api = client_for(shop.stand_in).v1
    furnish(api)
    draft = answer_of(world, "POST", "/v1/catalog/import", {"product_id": "app"})
    assert draft["counts"]["plans"] == len(draft["catalog"]["plans"]) > 4
    plan = answer_of(world, "POST", "/v1/catalog/diff", {"catalog": draft["catalog"]})
    body = {"catalog": draft["catalog"], "expected_hash": plan["hash"]}
    answer_of(world, "POST", "/v1/catalog/apply", body)
    shop.sync()
    again = answer_of(world, "POST", "/v1/catalog/import", {"product_id": "app"})
    assert {name: len(part) for name, part in again["catalog"].items()} == {
        "features": 0,
        "products": 0,
        "addons": 0,
        "plans": 0,
        "coupons": 0,
    }
    reasons = {one["reason"] for one in again["report"]}
    assert {"managed", "already_imported"} <= reasons


def test_import_without_file_prints_it_and_json_is_json_alone(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, shop = stripe_world()
    monkeypatch.setattr(session, "new_client", new_client(world))
    api = client_for(shop.stand_in).v1
    api.products.create({"name": "Empty"})
    where = {"PAYGRADE_API_URL": f"https://{world.environment}.test", "PAYGRADE_API_KEY": "k"}
    printed = shell("catalog", "import", **where)
    assert printed.exit_code == 0, printed.output
    assert document_in(printed.stdout, "stdout") == {}
    assert "no_prices" in printed.stderr
    assert '"catalog_import"' in shell("catalog", "import", "--json", **where).stdout


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"provider": "nobody"}, "provider", "unknown_provider"),
        ({"product_id": "gone"}, "product_id", "archived"),
    ],
)
def test_import_that_can_not_be_is_refused(body: Json, param: str, code: str) -> None:
    world, _ = stripe_world()
    answer_of(world, "POST", "/v1/products", {"id": "gone", "name": "Gone"})
    answer_of(world, "POST", "/v1/products/gone/archive")
    answer = answer_of(world, "POST", "/v1/catalog/import", body)
    assert answer["status"] == 422
    assert [(one["param"], one["code"]) for one in answer["errors"]] == [(param, code)]


def test_import_without_any_catalog_to_read_is_refused() -> None:
    world, shop = stripe_world()
    world.ports = replace(shop.ports, providers=cast("Providers", FakeProviders([])))
    answer = answer_of(world, "POST", "/v1/catalog/import", {})
    assert (answer["status"], answer["code"]) == (409, "billing_not_configured")


def test_accounts_of_several_pages_are_read_whole() -> None:
    world, shop = stripe_world()
    api: Any = client_for(shop.stand_in).v1
    for number in range(105):
        product = api.products.create({"name": f"Plan {number}"}).id
        price = {"product": product, "currency": "usd", "unit_amount": 100, "recurring": MONTH}
        api.prices.create(price)
    draft = answer_of(world, "POST", "/v1/catalog/import", {})
    assert (draft["counts"]["plans"], draft["report"]) == (105, [])
