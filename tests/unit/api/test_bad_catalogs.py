"""Catalogs that can't be sold: each is refused with its place in the document, and nothing of it is kept."""

from typing import Any, Final

import pytest

from chalicelib.domain.features import Feature
from chalicelib.domain.plans import Package, PackageVersion
from chalicelib.domain.sync import SyncTask
from tests.unit.api.world import World

Json = dict[str, Any]

MONTH: Final[Json] = {
    "model": "flat_fee",
    "billing_period": "month",
    "currency": "usd",
    "amount": 1000,
}
EURO: Final[Json] = {**MONTH, "currency": "eur", "amount": 900}
YEAR: Final[Json] = {**MONTH, "billing_period": "year", "amount": 9000}
SEATS: Final[Json] = {**MONTH, "model": "per_unit", "feature_id": "seats", "amount": 500}
CALLS: Final[Json] = {**MONTH, "model": "usage_based", "feature_id": "calls", "amount": 2}
SETUP: Final[Json] = {"model": "one_off", "currency": "usd", "amount": 9900}
OPEN: Final[Json] = {"up_to": None, "unit_amount": 1}
SSO: Final[Json] = {"feature_id": "sso", "value": True}
QUOTA: Final[Json] = {"feature_id": "calls", "usage_limit": 10, "reset_period": "month"}
LONG_ID: Final = "x" * 129


def without(document: Json, *names: str) -> Json:
    return {name: value for name, value in document.items() if name not in names}


def tiered(*tiers: Json, **fields: Any) -> Json:
    return {**without(SEATS, "amount"), "tiers_mode": "volume", "tiers": list(tiers), **fields}


def tier(up_to: Any, **fields: Any) -> Json:
    return {"up_to": up_to, **(fields or {"unit_amount": 1})}


# Refused as soon as they are sent: no reading of them makes sense. (price, path inside it, code)
MALFORMED_PRICES: Final[list[tuple[Json, str, str]]] = [
    (without(MONTH, "model"), "model", "required"),
    ({**MONTH, "model": "barter"}, "model", "unknown_value"),
    ({**MONTH, "model": None}, "model", "unknown_value"),
    (without(MONTH, "currency"), "currency", "required"),
    ({**MONTH, "currency": "USD"}, "currency", "bad_format"),
    ({**MONTH, "currency": "us"}, "currency", "bad_format"),
    ({**MONTH, "currency": ""}, "currency", "bad_format"),
    ({**MONTH, "currency": 840}, "currency", "wrong_type"),
    ({**MONTH, "billing_period": "fortnight"}, "billing_period", "unknown_value"),
    ({**MONTH, "billing_period": "MONTH"}, "billing_period", "unknown_value"),
    ({**MONTH, "interval_count": 0}, "interval_count", "out_of_range"),
    ({**MONTH, "interval_count": -1}, "interval_count", "out_of_range"),
    ({**MONTH, "interval_count": 1096}, "interval_count", "out_of_range"),
    ({**MONTH, "interval_count": "1"}, "interval_count", "wrong_type"),
    ({**MONTH, "interval_count": 1.5}, "interval_count", "wrong_type"),
    ({**MONTH, "interval_count": True}, "interval_count", "wrong_type"),
    ({**MONTH, "amount": -1}, "amount", "out_of_range"),
    ({**MONTH, "amount": 10.5}, "amount", "wrong_type"),
    ({**MONTH, "amount": "1000"}, "amount", "wrong_type"),
    ({**MONTH, "amount": True}, "amount", "wrong_type"),
    ({**MONTH, "amount": 2**53}, "amount", "out_of_range"),
    ({**MONTH, "amount_decimal": 0.5}, "amount_decimal", "wrong_type"),
    ({**MONTH, "amount_decimal": "1e3"}, "amount_decimal", "bad_format"),
    ({**MONTH, "amount_decimal": "-0.5"}, "amount_decimal", "bad_format"),
    ({**MONTH, "amount_decimal": "NaN"}, "amount_decimal", "bad_format"),
    ({**MONTH, "amount_decimal": "Infinity"}, "amount_decimal", "bad_format"),
    ({**MONTH, "amount_decimal": "0.1234567890123"}, "amount_decimal", "bad_format"),
    ({**MONTH, "amount_decimal": ".5"}, "amount_decimal", "bad_format"),
    ({**MONTH, "amount_decimal": "1."}, "amount_decimal", "bad_format"),
    ({**MONTH, "amount_decimal": "007"}, "amount_decimal", "bad_format"),
    ({**MONTH, "amount_decimal": "1,5"}, "amount_decimal", "bad_format"),
    ({**MONTH, "amount_decimal": " 1"}, "amount_decimal", "bad_format"),
    ({**MONTH, "tiers_mode": "stepped"}, "tiers_mode", "unknown_value"),
    ({**MONTH, "tiers": "none"}, "tiers", "wrong_type"),
    (tiered({"up_to": 0, "unit_amount": 1}), "tiers[0].up_to", "out_of_range"),
    (tiered({"up_to": "inf", "unit_amount": 1}), "tiers[0].up_to", "wrong_type"),
    (tiered({"up_to": 1.5, "unit_amount": 1}), "tiers[0].up_to", "wrong_type"),
    (tiered({**OPEN, "unit_amount": -1}), "tiers[0].unit_amount", "out_of_range"),
    (tiered({**OPEN, "flat_amount": -1}), "tiers[0].flat_amount", "out_of_range"),
    (tiered({**OPEN, "flat_amount": "1"}), "tiers[0].flat_amount", "wrong_type"),
    (tiered({**OPEN, "unit_amount_decimal": 1}), "tiers[0].unit_amount_decimal", "wrong_type"),
    (tiered({**OPEN, "price": 1}), "tiers[0].price", "unknown_field"),
    (tiered(*[OPEN] * 101), "tiers", "bad_length"),
    ({**SEATS, "block_size": 0}, "block_size", "out_of_range"),
    ({**SEATS, "block_size": 1.5}, "block_size", "wrong_type"),
    ({**SEATS, "feature_id": LONG_ID}, "feature_id", "bad_format"),
    ({**SEATS, "feature_id": ""}, "feature_id", "bad_format"),
    ({**SEATS, "feature_id": "a b"}, "feature_id", "bad_format"),
    ({**SEATS, "feature_id": "a/b"}, "feature_id", "bad_format"),
    ({**SEATS, "min_quantity": -1}, "min_quantity", "out_of_range"),
    ({**SEATS, "max_quantity": "9"}, "max_quantity", "wrong_type"),
    ({**MONTH, "country": "de"}, "country", "bad_format"),
    ({**MONTH, "country": "DEU"}, "country", "bad_format"),
    ({**MONTH, "country": 49}, "country", "wrong_type"),
    ({**MONTH, "id": LONG_ID}, "id", "bad_format"),
    ({**MONTH, "id": "mönthly"}, "id", "bad_format"),
    ({**MONTH, "id": ""}, "id", "bad_format"),
    ({**MONTH, "billing": []}, "billing", "unknown_field"),
    ({**MONTH, "unit_amount": 1}, "unit_amount", "unknown_field"),
]

# Well formed, and refused when they are to be published. (prices, path, code)
UNSELLABLE_PRICES: Final[list[tuple[list[Json], str, str]]] = [
    ([], "prices", "required"),
    ([SETUP], "prices", "required"),
    ([without(MONTH, "billing_period")], "prices[0].billing_period", "required"),
    ([without(SEATS, "billing_period")], "prices[0].billing_period", "required"),
    ([without(CALLS, "billing_period")], "prices[0].billing_period", "required"),
    ([{**MONTH, "interval_count": 37}], "prices[0].interval_count", "out_of_range"),
    ([{**YEAR, "interval_count": 4}], "prices[0].interval_count", "out_of_range"),
    (
        [{**MONTH, "billing_period": "week", "interval_count": 157}],
        "prices[0].interval_count",
        "out_of_range",
    ),
    ([MONTH, {**SETUP, "billing_period": "month"}], "prices[1].billing_period", "not_allowed"),
    ([MONTH, {**SETUP, "interval_count": 2}], "prices[1].billing_period", "not_allowed"),
    ([{**MONTH, "currency": "xyz"}], "prices[0].currency", "unknown_currency"),
    ([{**MONTH, "currency": "xau"}], "prices[0].currency", "unknown_currency"),
    ([without(MONTH, "amount")], "prices[0].amount", "required"),
    ([{**MONTH, "amount_decimal": "1"}], "prices[0].amount", "required"),
    ([{**MONTH, "amount": 100_000_000}], "prices[0].amount", "out_of_range"),
    ([{**MONTH, "tiers_mode": "volume"}], "prices[0].tiers", "not_allowed"),
    ([tiered(OPEN, model="flat_fee", feature_id=None)], "prices[0].tiers", "not_allowed"),
    (
        [MONTH, {**without(SETUP, "amount"), "tiers_mode": "volume", "tiers": [OPEN]}],
        "prices[1].tiers",
        "not_allowed",
    ),
    ([tiered(OPEN, tiers_mode=None)], "prices[0].tiers_mode", "required"),
    ([tiered()], "prices[0].tiers", "required"),
    ([tiered(OPEN, amount=1)], "prices[0].amount", "not_allowed"),
    ([tiered(OPEN, amount_decimal="1")], "prices[0].amount", "not_allowed"),
    ([tiered(tier(10))], "prices[0].tiers[0].up_to", "not_open"),
    ([tiered(tier(10), tier(20))], "prices[0].tiers[1].up_to", "not_open"),
    ([tiered(OPEN, OPEN)], "prices[0].tiers[0].up_to", "required"),
    ([tiered(tier(10), OPEN, OPEN)], "prices[0].tiers[1].up_to", "required"),
    ([tiered(OPEN, tier(10))], "prices[0].tiers[0].up_to", "required"),
    ([tiered(tier(10), tier(10), OPEN)], "prices[0].tiers[1].up_to", "not_rising"),
    ([tiered(tier(10), tier(5), OPEN)], "prices[0].tiers[1].up_to", "not_rising"),
    ([tiered({"up_to": None})], "prices[0].tiers[0].unit_amount", "required"),
    ([tiered(tier(5), {"up_to": None})], "prices[0].tiers[1].unit_amount", "required"),
    (
        [tiered({**OPEN, "unit_amount_decimal": "1"})],
        "prices[0].tiers[0].unit_amount",
        "not_allowed",
    ),
    (
        [tiered(tier(None, unit_amount=100_000_000))],
        "prices[0].tiers[0].unit_amount",
        "out_of_range",
    ),
    (
        [tiered(tier(None, flat_amount=100_000_000))],
        "prices[0].tiers[0].flat_amount",
        "out_of_range",
    ),
    ([tiered(OPEN, block_size=10)], "prices[0].block_size", "not_allowed"),
    ([{**MONTH, "block_size": 10}], "prices[0].block_size", "not_allowed"),
    ([MONTH, {**SETUP, "block_size": 10}], "prices[1].block_size", "not_allowed"),
    ([{**MONTH, "feature_id": "seats"}], "prices[0].feature_id", "not_allowed"),
    ([MONTH, {**SETUP, "feature_id": "seats"}], "prices[1].feature_id", "not_allowed"),
    ([without(SEATS, "feature_id")], "prices[0].feature_id", "required"),
    ([without(CALLS, "feature_id")], "prices[0].feature_id", "required"),
    ([{**SEATS, "feature_id": "ghost"}], "prices[0].feature_id", "unknown_feature"),
    ([{**CALLS, "feature_id": "ghost"}], "prices[0].feature_id", "unknown_feature"),
    ([{**SEATS, "feature_id": "sso"}], "prices[0].feature_id", "feature_type_mismatch"),
    ([{**SEATS, "feature_id": "regions"}], "prices[0].feature_id", "feature_type_mismatch"),
    ([{**CALLS, "feature_id": "sso"}], "prices[0].feature_id", "feature_type_mismatch"),
    ([{**CALLS, "feature_id": "regions"}], "prices[0].feature_id", "feature_type_mismatch"),
    ([{**CALLS, "feature_id": "projects"}], "prices[0].feature_id", "feature_type_mismatch"),
    ([{**CALLS, "feature_id": "people"}], "prices[0].feature_id", "unsupported_aggregation"),
    ([{**CALLS, "feature_id": "peak"}], "prices[0].feature_id", "unsupported_aggregation"),
    ([{**CALLS, "feature_id": "low"}], "prices[0].feature_id", "unsupported_aggregation"),
    ([{**SEATS, "feature_id": "gone"}], "prices[0].feature_id", "archived"),
    ([{**CALLS, "feature_id": "gone"}], "prices[0].feature_id", "archived"),
    ([{**MONTH, "min_quantity": 1}], "prices[0].min_quantity", "not_allowed"),
    ([{**CALLS, "max_quantity": 5}], "prices[0].min_quantity", "not_allowed"),
    ([MONTH, {**SETUP, "max_quantity": 5}], "prices[1].min_quantity", "not_allowed"),
    ([{**SEATS, "max_quantity": 0}], "prices[0].max_quantity", "out_of_range"),
    (
        [{**SEATS, "min_quantity": 5, "max_quantity": 4}],
        "prices[0].max_quantity",
        "out_of_range",
    ),
    ([MONTH, {**MONTH, "country": "XX"}], "prices[1].country", "unknown_country"),
    ([MONTH, {**MONTH, "country": "UK"}], "prices[1].country", "unknown_country"),
    ([MONTH, {**YEAR, "country": "DE"}], "prices[1].country", "missing_general_price"),
    ([MONTH, {**EURO, "country": "DE"}], "prices[1].country", "missing_general_price"),
    ([MONTH, {**SEATS, "country": "DE"}], "prices[1].country", "missing_general_price"),
    ([MONTH, MONTH], "prices[1].id", "duplicate"),
    ([MONTH, {**MONTH, "id": "other"}], "prices[1]", "duplicate"),
    ([{**MONTH, "id": "a"}, {**YEAR, "id": "a"}], "prices[1].id", "duplicate"),
    ([MONTH, SETUP, {**SETUP, "id": "again"}], "prices[2]", "duplicate"),
    ([SEATS, {**SEATS, "id": "again", "amount": 1}], "prices[1]", "duplicate"),
    ([MONTH, EURO, YEAR], "prices[2].currency", "missing_currency"),
    ([MONTH, YEAR, {**YEAR, "currency": "eur"}], "prices[0].currency", "missing_currency"),
    ([MONTH, EURO, SEATS], "prices[2].currency", "missing_currency"),
    ([MONTH, EURO, CALLS], "prices[2].currency", "missing_currency"),
    ([MONTH, EURO, SETUP], "prices[2].currency", "missing_currency"),
    ([MONTH, EURO, {**SETUP, "currency": "gbp"}], "prices[0].currency", "missing_currency"),
]

# Entitlements that contradict their features. (entitlement, field, code)
BAD_SHARES: Final[list[tuple[Json, str, str]]] = [
    ({"feature_id": "ghost"}, "feature_id", "unknown_feature"),
    ({"feature_id": "gone", "usage_limit": 1}, "feature_id", "archived"),
    ({"feature_id": "sso"}, "value", "required"),
    ({"feature_id": "sso", "value": 1}, "value", "required"),
    ({**SSO, "usage_limit": 5}, "usage_limit", "not_allowed"),
    ({**SSO, "is_unlimited": True}, "usage_limit", "not_allowed"),
    ({**SSO, "has_soft_limit": True}, "usage_limit", "not_allowed"),
    ({**SSO, "reset_period": "month"}, "reset_period", "not_allowed"),
    ({**SSO, "values": ["a"]}, "values", "not_allowed"),
    ({**SSO, "behavior": "increment"}, "behavior", "not_allowed"),
    ({"feature_id": "projects"}, "value", "required"),
    ({"feature_id": "projects", "value": True}, "value", "required"),
    ({"feature_id": "projects", "value": 3, "usage_limit": 3}, "usage_limit", "not_allowed"),
    ({"feature_id": "projects", "value": 3, "reset_period": "day"}, "reset_period", "not_allowed"),
    ({"feature_id": "regions"}, "values", "required"),
    ({"feature_id": "regions", "values": ["mars"]}, "values", "unknown_value"),
    ({"feature_id": "regions", "values": ["eu"], "value": True}, "value", "not_allowed"),
    ({"feature_id": "regions", "values": ["eu"], "usage_limit": 1}, "usage_limit", "not_allowed"),
    ({"feature_id": "calls"}, "usage_limit", "required"),
    ({"feature_id": "calls", "value": 5}, "value", "not_allowed"),
    ({**QUOTA, "is_unlimited": True}, "usage_limit", "required"),
    ({**QUOTA, "values": ["a"]}, "values", "not_allowed"),
    (
        {"feature_id": "calls", "is_unlimited": True, "has_soft_limit": True},
        "has_soft_limit",
        "not_allowed",
    ),
    ({**QUOTA, "depends_on_feature_id": "sso"}, "depends_on_feature_id", "missing_dependency"),
    ({**QUOTA, "depends_on_feature_id": "ghost"}, "depends_on_feature_id", "missing_dependency"),
    ({**QUOTA, "depends_on_feature_id": "calls"}, "depends_on_feature_id", "cycle"),
]

# The rest of a plan. (changes, path, code)
BAD_PLANS: Final[list[tuple[Json, str, str]]] = [
    ({"pricing_type": "free"}, "prices", "not_allowed"),
    ({"pricing_type": "custom"}, "prices", "not_allowed"),
    ({"entitlements": [SSO, SSO]}, "entitlements[1].feature_id", "duplicate"),
    (
        {
            "entitlements": [
                {**SSO, "depends_on_feature_id": "calls"},
                {**QUOTA, "depends_on_feature_id": "sso"},
            ]
        },
        "entitlements[0].depends_on_feature_id",
        "cycle",
    ),
    ({"compatible_addons": ["ghost"]}, "compatible_addons[0]", "unknown_addon"),
    ({"compatible_addons": ["draft"]}, "compatible_addons[0]", "unknown_addon"),
    ({"compatible_addons": ["storage", "storage"]}, "compatible_addons[1]", "duplicate"),
    ({"compatible_addons": ["alien"]}, "compatible_addons[0]", "other_product"),
    (
        {"prices": [MONTH, EURO], "compatible_addons": ["storage"]},
        "compatible_addons[0]",
        "missing_price",
    ),
    (
        {"prices": [MONTH, YEAR], "compatible_addons": ["storage"]},
        "compatible_addons[0]",
        "missing_price",
    ),
    ({"prices": [SEATS], "compatible_addons": ["desks"]}, "compatible_addons[0]", "sold_twice"),
    ({"compatible_addons": ["audit"]}, "compatible_addons[0]", "missing_dependency"),
    ({"parent_plan_id": "ghost"}, "parent_plan_id", "unknown_plan"),
    ({"parent_plan_id": "bad"}, "parent_plan_id", "cycle"),
    ({"parent_plan_id": "unpublished"}, "parent_plan_id", "not_published"),
    ({"parent_plan_id": "foreign"}, "parent_plan_id", "other_product"),
    ({"trial": {"duration": 24, "unit": "month"}}, "trial.duration", "out_of_range"),
    (
        {"trial": {"duration": 7, "unit": "day"}, "prices": [], "pricing_type": "free"},
        "trial",
        "not_allowed",
    ),
    (
        {
            "trial": {
                "duration": 7,
                "unit": "day",
                "payment_method_required": True,
                "end_behavior": "cancel_subscription",
            }
        },
        "trial.end_behavior",
        "not_allowed",
    ),
]

MALFORMED_PLANS: Final[list[tuple[Json, str, str]]] = [
    ({"id": LONG_ID}, "id", "bad_format"),
    ({"id": ""}, "id", "bad_format"),
    ({"id": "a b"}, "id", "bad_format"),
    ({"id": "a#b"}, "id", "bad_format"),
    ({"id": None}, "id", "wrong_type"),
    ({"name": ""}, "name", "bad_length"),
    ({"name": "x" * 251}, "name", "bad_length"),
    ({"description": "x" * 1001}, "description", "bad_length"),
    ({"product_id": "ghost"}, "product_id", "unknown_product"),
    ({"product_id": LONG_ID}, "product_id", "bad_format"),
    ({"pricing_type": "gratis"}, "pricing_type", "unknown_value"),
    ({"compatible_addons": ["x"] * 51}, "compatible_addons", "bad_length"),
    ({"compatible_addons": [LONG_ID]}, "compatible_addons[0]", "bad_format"),
    ({"parent_plan_id": LONG_ID}, "parent_plan_id", "bad_format"),
    ({"entitlements": [QUOTA] * 201}, "entitlements", "bad_length"),
    ({"prices": [MONTH] * 101}, "prices", "bad_length"),
    ({"trial": {"duration": 0, "unit": "day"}}, "trial.duration", "out_of_range"),
    ({"trial": {"duration": 731, "unit": "day"}}, "trial.duration", "out_of_range"),
    ({"trial": {"duration": 7, "unit": "week"}}, "trial.unit", "unknown_value"),
    ({"trial": {"unit": "day"}}, "trial.duration", "required"),
    ({"max_quantity": 2}, "max_quantity", "unknown_field"),
    ({"status": "published"}, "status", "unknown_field"),
    (
        {"entitlements": [{**QUOTA, "usage_limit": -1}]},
        "entitlements[0].usage_limit",
        "out_of_range",
    ),
    (
        {"entitlements": [{**QUOTA, "reset_period": "fortnight"}]},
        "entitlements[0].reset_period",
        "unknown_value",
    ),
    ({"metadata": {"paygrade_x": "1"}}, "metadata", "reserved"),
]

BAD_ADDONS: Final[list[tuple[Json, str, str]]] = [
    ({"prices": [SEATS], "max_quantity": 2}, "max_quantity", "not_allowed"),
    ({"prices": [{**MONTH, "currency": "xyz"}]}, "prices[0].currency", "unknown_currency"),
    ({"entitlements": [{**SSO, "usage_limit": 5}]}, "entitlements[0].usage_limit", "not_allowed"),
    ({"pricing_type": "free"}, "prices", "not_allowed"),
]

METERED: Final[Json] = {"id": "bad", "name": "Bad", "type": "metered"}
SUM: Final[Json] = {"aggregation": "sum", "property": "n"}


def filtered(**condition: Any) -> Json:
    return {**METERED, "meter": {**SUM, "filters": [[{"property": "p", **condition}]]}}


BAD_FEATURES: Final[list[tuple[Json, str, str]]] = [
    ({**METERED, "id": LONG_ID}, "id", "bad_format"),
    ({**METERED, "type": "credit"}, "type", "unknown_value"),
    ({**METERED, "type": "boolean", "meter": SUM}, "meter", "not_allowed"),
    ({**METERED, "type": "numeric", "usage_kind": "incremental"}, "usage_kind", "not_allowed"),
    ({**METERED, "type": "enum"}, "values", "required"),
    ({**METERED, "type": "enum", "values": ["a", "a"]}, "values", "duplicate"),
    ({**METERED, "values": ["a"]}, "values", "not_allowed"),
    ({**METERED, "meter": {"aggregation": "sum"}}, "meter.property", "required"),
    ({**METERED, "meter": {"aggregation": "unique"}}, "meter.property", "required"),
    (
        {**METERED, "meter": {"aggregation": "median", "property": "n"}},
        "meter.aggregation",
        "unknown_value",
    ),
    (
        {**METERED, "meter": {"aggregation": "count", "property": "n"}},
        "meter.property",
        "not_allowed",
    ),
    (
        {**METERED, "usage_kind": "fluctuating", "meter": {"aggregation": "count"}},
        "usage_kind",
        "contradicts_meter",
    ),
    (
        {
            **METERED,
            "usage_kind": "incremental",
            "meter": {"aggregation": "latest", "property": "n"},
        },
        "usage_kind",
        "contradicts_meter",
    ),
    ({**METERED, "meter": {**SUM, "filters": [[]]}}, "meter.filters[0]", "required"),
    (filtered(op="like", value="x"), "meter.filters[0][0].op", "unknown_value"),
    (filtered(op="equals"), "meter.filters[0][0].value", "required"),
    (filtered(op="is_null", value="x"), "meter.filters[0][0].value", "not_allowed"),
    (filtered(op="greater_than", value="x"), "meter.filters[0][0].value", "wrong_type"),
    (filtered(op="greater_than", value=True), "meter.filters[0][0].value", "wrong_type"),
    (filtered(op="contains", value=5), "meter.filters[0][0].value", "wrong_type"),
    (filtered(op="in", value="x"), "meter.filters[0][0].value", "wrong_type"),
    (filtered(op="in", value=[]), "meter.filters[0][0].value", "required"),
    (filtered(op="equals", value=["x"]), "meter.filters[0][0].value", "wrong_type"),
]


def plan(**changes: Any) -> Json:
    base = {"id": "bad", "product_id": "app", "name": "Bad", "pricing_type": "paid"}
    return {**base, "prices": [MONTH], "entitlements": [], **changes}


def addon(addon_id: str, **changes: Any) -> Json:
    return without({**plan(**changes), "id": addon_id}, "parent_plan_id")


@pytest.fixture
def world(world: World) -> World:
    metered = {"type": "metered"}
    for path, body in (
        ("products", {"id": "app", "name": "App"}),
        ("products", {"id": "other", "name": "Other"}),
        ("features", {"id": "seats", "name": "Seats", **metered}),
        ("features", {"id": "calls", "name": "Calls", **metered}),
        ("features", {"id": "gone", "name": "Gone", **metered}),
        ("features", {"id": "sso", "name": "SSO", "type": "boolean"}),
        ("features", {"id": "projects", "name": "Projects", "type": "numeric"}),
        ("features", {"id": "regions", "name": "Regions", "type": "enum", "values": ["eu", "us"]}),
        *(
            (
                "features",
                {
                    "id": name,
                    "name": name,
                    **metered,
                    "meter": {"aggregation": kind, "property": "n"},
                },
            )
            for name, kind in (("people", "unique"), ("peak", "max"), ("low", "min"))
        ),
        ("addons", addon("storage")),
        ("addons", addon("draft")),
        ("addons", addon("alien", product_id="other")),
        ("addons", addon("desks", prices=[SEATS])),
        ("addons", addon("audit", entitlements=[{**QUOTA, "depends_on_feature_id": "sso"}])),
        ("plans", {**plan(product_id="other"), "id": "foreign"}),
        ("plans", {**plan(), "id": "unpublished"}),
    ):
        assert world.send("POST", f"/v1/{path}", body).status == 201
    assert world.send("POST", "/v1/features/gone/archive").status == 200
    for kind, package_id in (
        ("addons", "storage"),
        ("addons", "alien"),
        ("addons", "desks"),
        ("addons", "audit"),
        ("plans", "foreign"),
    ):
        assert world.send("POST", f"/v1/{kind}/{package_id}/publish").status == 200
    return world


def assert_refused_at_once(world: World, kind: str, body: Json, param: str, code: str) -> None:
    before = dict(world.store.records)
    answer = world.send("POST", f"/v1/{kind}", body)
    assert answer.status == 422, answer.body
    found = {(error["param"], error["code"]) for error in answer.json["errors"]}
    assert any(at == param and what == code for at, what in found), found
    assert world.store.records == before


def assert_refused_at_publication(
    world: World, kind: str, body: Json, param: str, code: str
) -> None:
    made = world.send("POST", f"/v1/{kind}", body)
    assert made.status == 201, made.body
    before = dict(world.store.records)
    answer = world.send("POST", f"/v1/{kind}/{body['id']}/publish")
    assert (answer.status, answer.json.get("code")) == (422, "invalid"), answer.body
    found = {(error["param"], error["code"]) for error in answer.json["errors"]}
    assert (param, code) in found
    assert world.store.records == before
    assert not [one for one in world.store.all(PackageVersion) if one.id == "bad"]
    assert not [one for one in world.store.all(SyncTask) if one.package_id == "bad"]


@pytest.mark.parametrize(("price", "field", "code"), MALFORMED_PRICES)
def test_price_that_is_malformed_is_refused_at_once(
    world: World, price: Json, field: str, code: str
) -> None:
    body = plan(prices=[MONTH, price])
    assert_refused_at_once(world, "plans", body, f"prices[1].{field}", code)


@pytest.mark.parametrize(("changes", "param", "code"), MALFORMED_PLANS)
def test_plan_that_is_malformed_is_refused_at_once(
    world: World, changes: Json, param: str, code: str
) -> None:
    assert_refused_at_once(world, "plans", plan(**changes), param, code)


@pytest.mark.parametrize(("prices", "param", "code"), UNSELLABLE_PRICES)
def test_prices_that_cannot_be_sold_are_refused_at_publication(
    world: World, prices: list[Json], param: str, code: str
) -> None:
    assert_refused_at_publication(world, "plans", plan(prices=prices), param, code)


@pytest.mark.parametrize(("share", "field", "code"), BAD_SHARES)
def test_entitlement_that_cannot_be_granted_is_refused_at_publication(
    world: World, share: Json, field: str, code: str
) -> None:
    body = plan(entitlements=[{"feature_id": "seats", "usage_limit": 1}, share])
    assert_refused_at_publication(world, "plans", body, f"entitlements[1].{field}", code)


@pytest.mark.parametrize(("changes", "param", "code"), BAD_PLANS)
def test_plan_that_contradicts_the_catalog_is_refused_at_publication(
    world: World, changes: Json, param: str, code: str
) -> None:
    assert_refused_at_publication(world, "plans", plan(**changes), param, code)


@pytest.mark.parametrize(("changes", "param", "code"), BAD_ADDONS)
def test_addon_that_contradicts_the_catalog_is_refused_at_publication(
    world: World, changes: Json, param: str, code: str
) -> None:
    assert_refused_at_publication(world, "addons", addon("bad", **changes), param, code)


@pytest.mark.parametrize(("feature", "param", "code"), BAD_FEATURES)
def test_feature_that_contradicts_itself_is_refused(
    world: World, feature: Json, param: str, code: str
) -> None:
    assert_refused_at_once(world, "features", feature, param, code)
    assert not [one for one in world.store.all(Feature) if one.id == "bad"]


def test_addon_that_no_longer_fits_the_plan_that_takes_it_is_refused(world: World) -> None:
    body = {**plan(compatible_addons=["storage"]), "id": "pro"}
    assert world.send("POST", "/v1/plans", body).status == 201
    assert world.send("POST", "/v1/plans/pro/publish").status == 200
    changed = {"prices": [EURO], "entitlements": [{**QUOTA, "depends_on_feature_id": "sso"}]}
    assert world.send("PATCH", "/v1/addons/storage", changed).status == 200
    answer = world.send("POST", "/v1/addons/storage/publish")
    assert answer.status == 422
    assert {(one["param"], one["code"]) for one in answer.json["errors"]} == {
        ("prices", "missing_price"),
        ("entitlements", "missing_dependency"),
    }


def test_catalog_too_large_for_a_request_is_refused_whole(world: World) -> None:
    before = len(world.store.all(Package))
    entitlements = [{"feature_id": f"{'f' * 120}{index}", "value": True} for index in range(4000)]
    answer = world.send("POST", "/v1/plans", plan(entitlements=entitlements))
    assert (answer.status, answer.json["code"]) == (413, "body_too_large")
    assert len(world.store.all(Package)) == before


def test_refused_catalogs_are_many() -> None:
    tables = (
        MALFORMED_PRICES,
        MALFORMED_PLANS,
        UNSELLABLE_PRICES,
        BAD_SHARES,
        BAD_PLANS,
        BAD_ADDONS,
        BAD_FEATURES,
    )
    assert sum(len(table) for table in tables) >= 150
