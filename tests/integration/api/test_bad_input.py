"""Bodies, queries and orders that are well formed and wrong: each refused by the name of its field and fault."""

from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.integration.api.contract import Described, assert_described, assert_problem, operations
from tests.integration.api.shop import ADDON, FREE, MONTHLY, PLAN
from tests.integration.gateway import routed
from tests.integration.world import Deployment, dump

OPERATIONS: Final = {(one.method, one.path): one for one in operations()}


@dataclass(frozen=True)
class Case:
    """A request, and what is said against it."""

    method: str
    path: str
    body: Any
    param: str | None
    fault: str | None = None
    status: int = 422
    code: str = "invalid"

    @property
    def described(self) -> Described:
        paths = tuple(dict.fromkeys(path for _, path in OPERATIONS))
        resource, _ = routed(paths, f"/v1/{self.path}".partition("?")[0])
        return OPERATIONS[self.method, resource]


def bad(path: str, good: dict[str, Any], param: str, fault: str, **fields: Any) -> Case:
    """A creation that is good but for these fields."""
    absent = fields.pop("absent", ())
    body = {name: value for name, value in {**good, **fields}.items() if name not in absent}
    return Case("POST", path, body, param, fault)


def change(path: str, param: str, fault: str, **fields: Any) -> Case:
    return Case("PATCH", path, fields, param, fault)


def asked(path: str, param: str, fault: str) -> Case:
    return Case("GET", path, None, param, fault)


PRODUCT: Final = {"id": "made", "name": "Made"}
FEATURE: Final = {"id": "made", "name": "Made", "type": "boolean"}
METERED: Final = {"id": "made", "name": "Made", "type": "metered"}
ENUM: Final = {"id": "made", "name": "Made", "type": "enum", "values": ["a"]}
CUSTOMER: Final = {"id": "made"}
DRAFT: Final = {**PLAN, "id": "made"}
ORDER: Final = {"customer_id": "new", "plan_id": "pro"}
KEY: Final = {"name": "made"}


def priced(**fields: Any) -> list[dict[str, Any]]:
    return [{**MONTHLY, **fields}]


def entitled(**fields: Any) -> list[dict[str, Any]]:
    return [{"feature_id": "sso", **fields}]


IDS: Final = [
    *(
        bad(kind, {**PRODUCT, **extra}, "id", "bad_format", id=identity)
        for kind, extra in (
            ("products", {}),
            ("features", {"type": "boolean"}),
            ("plans", {"product_id": "app"}),
            ("addons", {"product_id": "app"}),
        )
        for identity in ("", " ", "a b", "a/b", "a#b", "a\n", "é", "x" * 129, "a\x00", "🎉", "%61")
    ),
    *(
        bad("customers", CUSTOMER, "id", "bad_format", id=identity)
        for identity in ("", "a/b", "a#b", "x" * 129, "acme\n", "\u202eacme")
    ),
    *(
        bad(kind, {**PRODUCT, "product_id": "app", "type": "boolean"}, "id", "wrong_type", id=value)
        for kind in ("products", "features", "plans", "addons", "customers")
        for value in (1, 1.5, True, None, ["a"], {"a": 1})
    ),
]

NAMES: Final = [
    *(
        bad("products", PRODUCT, "name", fault, name=value)
        for value, fault in (
            ("", "bad_length"),
            ("x" * 251, "bad_length"),
            (1, "wrong_type"),
            (None, "wrong_type"),
            (["a"], "wrong_type"),
        )
    ),
    bad("products", PRODUCT, "name", "required", absent=("name",)),
    bad("products", PRODUCT, "description", "bad_length", description="x" * 1001),
    bad("products", PRODUCT, "description", "wrong_type", description=5),
    bad("features", FEATURE, "name", "bad_length", name=""),
    bad("plans", DRAFT, "name", "bad_length", name=""),
    bad("addons", {**ADDON, "id": "made"}, "name", "bad_length", name=""),
    bad("customers", CUSTOMER, "name", "bad_length", name=""),
    bad("api_keys", KEY, "name", "bad_length", name=""),
    change("products/app", "name", "bad_length", name=""),
    change("products/app", "name", "wrong_type", name=None),
    change("plans/sketch", "name", "wrong_type", name=None),
    change("features/sso", "name", "bad_length", name="x" * 251),
]

METADATA: Final = [
    bad("products", PRODUCT, "metadata", "wrong_type", metadata=[]),
    bad("products", PRODUCT, "metadata", "wrong_type", metadata=None),
    bad("products", PRODUCT, "metadata.a", "wrong_type", metadata={"a": 1}),
    bad("products", PRODUCT, "metadata.a", "wrong_type", metadata={"a": None}),
    bad("products", PRODUCT, "metadata.a", "wrong_type", metadata={"a": {"b": "c"}}),
    bad("products", PRODUCT, "metadata.a", "bad_length", metadata={"a": "x" * 501}),
    bad("products", PRODUCT, "metadata.", "bad_length", metadata={"": "a"}),
    bad("products", PRODUCT, "metadata.a[b]", "bad_format", metadata={"a[b]": "c"}),
    bad("products", PRODUCT, "metadata", "reserved", metadata={"paygrade_entity_id": "x"}),
    bad("customers", CUSTOMER, "metadata", "reserved", metadata={"paygrade_x": "x"}),
    bad("subscriptions", ORDER, "metadata", "reserved", metadata={"paygrade_customer_id": "x"}),
    bad(
        "customers", CUSTOMER, "metadata", "bad_length", metadata={f"k{n}": "v" for n in range(99)}
    ),
    change("customers/acme", "metadata", "reserved", metadata={"paygrade_x": None}),
    change("products/app", "metadata.a", "wrong_type", metadata={"a": True}),
]

FEATURES: Final = [
    bad("features", FEATURE, "type", "unknown_value", type="Boolean"),
    bad("features", FEATURE, "type", "unknown_value", type=""),
    bad("features", FEATURE, "type", "unknown_value", type=None),
    bad("features", FEATURE, "type", "unknown_value", type=1),
    bad("features", FEATURE, "type", "required", absent=("type",)),
    bad("features", ENUM, "values", "required", values=[]),
    bad("features", ENUM, "values", "duplicate", values=["a", "a"]),
    bad("features", ENUM, "values[0]", "bad_length", values=[""]),
    bad("features", ENUM, "values[1]", "wrong_type", values=["a", 1]),
    bad("features", ENUM, "values", "wrong_type", values="a"),
    bad("features", ENUM, "values", "bad_length", values=[f"v{n}" for n in range(101)]),
    bad("features", FEATURE, "values", "not_allowed", values=["a"]),
    bad("features", FEATURE, "usage_kind", "not_allowed", usage_kind="incremental"),
    bad("features", METERED, "usage_kind", "unknown_value", usage_kind="sometimes"),
    bad("features", FEATURE, "meter", "not_allowed", meter={"aggregation": "count"}),
    bad("features", METERED, "meter.property", "required", meter={"aggregation": "sum"}),
    bad("features", METERED, "meter.aggregation", "unknown_value", meter={"aggregation": "avg"}),
    bad("features", METERED, "meter.aggregation", "required", meter={}),
    bad("features", METERED, "meter", "wrong_type", meter="count"),
    bad("features", FEATURE, "status", "unknown_field", status="archived"),
    bad("features", FEATURE, "version", "unknown_field", version=7),
    change("features/sso", "type", "unknown_field", type="metered"),
    change("features/sso", "id", "unknown_field", id="other"),
    change("features/sso", "version", "wrong_type", version="1"),
    change("features/sso", "version", "wrong_type", version=1.0),
    change("features/sso", "version", "wrong_type", version=True),
    change("features/sso", "version", "out_of_range", version=0),
    change("features/sso", "version", "out_of_range", version=2**53),
]

PRICES: Final = [
    *(
        bad("plans", DRAFT, f"prices[0].{field}", fault, prices=priced(**{field: value}))
        for field, value, fault in (
            ("amount", -1, "out_of_range"),
            ("amount", 19.0, "wrong_type"),
            ("amount", 19.5, "wrong_type"),
            ("amount", "1900", "wrong_type"),
            ("amount", True, "wrong_type"),
            ("amount", 2**53, "out_of_range"),
            ("amount", 10**30, "out_of_range"),
            ("amount", {"usd": 1}, "wrong_type"),
            ("amount_decimal", 1.5, "wrong_type"),
            ("amount_decimal", "1,5", "bad_format"),
            ("amount_decimal", "-1", "bad_format"),
            ("amount_decimal", "+1", "bad_format"),
            ("amount_decimal", "1e3", "bad_format"),
            ("amount_decimal", "01", "bad_format"),
            ("amount_decimal", ".5", "bad_format"),
            ("amount_decimal", "1.", "bad_format"),
            ("amount_decimal", "", "bad_format"),
            ("amount_decimal", "NaN", "bad_format"),
            ("amount_decimal", "Infinity", "bad_format"),
            ("amount_decimal", "1\n", "bad_format"),
            ("amount_decimal", "٣", "bad_format"),
            ("amount_decimal", "0." + "1" * 13, "bad_format"),
            ("amount_decimal", "9" * 9, "bad_format"),
            ("currency", "USD", "bad_format"),
            ("currency", "us", "bad_format"),
            ("currency", "usdd", "bad_format"),
            ("currency", "", "bad_format"),
            ("currency", "$", "bad_format"),
            ("currency", "usd\n", "bad_format"),
            ("currency", 840, "wrong_type"),
            ("currency", None, "wrong_type"),
            ("billing_period", "fortnight", "unknown_value"),
            ("billing_period", "Month", "unknown_value"),
            ("billing_period", 1, "unknown_value"),
            ("interval_count", 0, "out_of_range"),
            ("interval_count", -1, "out_of_range"),
            ("interval_count", 1096, "out_of_range"),
            ("interval_count", 1.0, "wrong_type"),
            ("interval_count", "1", "wrong_type"),
            ("interval_count", None, "wrong_type"),
            ("model", "free", "unknown_value"),
            ("model", None, "unknown_value"),
            ("country", "us", "bad_format"),
            ("country", "USA", "bad_format"),
            ("feature_id", "a/b", "bad_format"),
            ("min_quantity", -1, "out_of_range"),
            ("max_quantity", 1.5, "wrong_type"),
            ("block_size", 0, "out_of_range"),
            ("tiers", {}, "wrong_type"),
            ("tiers_mode", "sliding", "unknown_value"),
            ("billing", [], "unknown_field"),
            ("unit_amount", 5, "unknown_field"),
        )
    ),
    bad("plans", DRAFT, "prices", "wrong_type", prices={}),
    bad("plans", DRAFT, "prices", "wrong_type", prices=None),
    bad("plans", DRAFT, "prices[0]", "wrong_type", prices=[1]),
    bad("plans", DRAFT, "prices", "bad_length", prices=[MONTHLY] * 101),
    bad("plans", DRAFT, "prices[0].model", "required", prices=[{"currency": "usd", "amount": 1}]),
    bad(
        "plans",
        DRAFT,
        "prices[0].tiers[0].up_to",
        "out_of_range",
        prices=priced(tiers=[{"up_to": 0}]),
    ),
    bad(
        "plans",
        DRAFT,
        "prices[0].tiers[0].flat_amount",
        "out_of_range",
        prices=priced(tiers=[{"flat_amount": -1}]),
    ),
    change("addons/addon-sketch", "prices[0].amount", "out_of_range", prices=priced(amount=-5)),
]

PACKAGES: Final = [
    bad("plans", DRAFT, "product_id", "required", absent=("product_id",)),
    bad("plans", DRAFT, "product_id", "bad_format", product_id="a/b"),
    bad("plans", DRAFT, "product_id", "unknown_product", product_id="nobody"),
    bad("plans", DRAFT, "product_id", "archived", product_id="attic"),
    bad("addons", {**ADDON, "id": "made"}, "product_id", "unknown_product", product_id="nobody"),
    bad("plans", DRAFT, "pricing_type", "unknown_value", pricing_type="gratis"),
    bad("plans", DRAFT, "parent_plan_id", "bad_format", parent_plan_id=""),
    bad("plans", DRAFT, "compatible_addons[0]", "bad_format", compatible_addons=["a b"]),
    bad("plans", DRAFT, "compatible_addons", "wrong_type", compatible_addons="storage"),
    bad("plans", DRAFT, "max_quantity", "unknown_field", max_quantity=1),
    bad("addons", {**ADDON, "id": "made"}, "parent_plan_id", "unknown_field", parent_plan_id="pro"),
    bad("addons", {**ADDON, "id": "made"}, "max_quantity", "out_of_range", max_quantity=0),
    bad("addons", {**ADDON, "id": "made"}, "max_quantity", "wrong_type", max_quantity="5"),
    bad("plans", DRAFT, "trial.duration", "out_of_range", trial={"duration": 0, "unit": "day"}),
    bad("plans", DRAFT, "trial.duration", "wrong_type", trial={"duration": "7", "unit": "day"}),
    bad("plans", DRAFT, "trial.unit", "unknown_value", trial={"duration": 7, "unit": "hour"}),
    bad("plans", DRAFT, "trial.unit", "required", trial={"duration": 7}),
    bad("plans", DRAFT, "trial", "wrong_type", trial=7),
    *(
        bad(
            "plans",
            DRAFT,
            f"entitlements[0].{field}",
            fault,
            entitlements=entitled(**{field: value}),
        )
        for field, value, fault in (
            ("feature_id", "", "bad_format"),
            ("feature_id", None, "wrong_type"),
            ("value", "true", "wrong_type"),
            ("value", 1.5, "wrong_type"),
            ("value", -1, "wrong_type"),
            ("values", "eu", "wrong_type"),
            ("values", None, "wrong_type"),
            ("usage_limit", -1, "out_of_range"),
            ("usage_limit", 1.0, "wrong_type"),
            ("usage_limit", "10", "wrong_type"),
            ("usage_limit", True, "wrong_type"),
            ("usage_limit", 2**53, "out_of_range"),
            ("is_unlimited", 1, "wrong_type"),
            ("is_unlimited", "yes", "wrong_type"),
            ("has_soft_limit", None, "wrong_type"),
            ("reset_period", "decade", "unknown_value"),
            ("reset_anchor", "birthday", "unknown_value"),
            ("behavior", "multiply", "unknown_value"),
            ("limit", 5, "unknown_field"),
        )
    ),
    bad("plans", DRAFT, "entitlements[0].feature_id", "required", entitlements=[{"value": True}]),
    bad("plans", DRAFT, "entitlements", "bad_length", entitlements=entitled(value=True) * 201),
    change("plans/sketch", "product_id", "unknown_field", product_id="other"),
    change("plans/sketch", "status", "unknown_field", status="published"),
    change("plans/sketch", "revision", "wrong_type", revision="1"),
    Case("POST", "plans/sketch/publish", {"migration": "everybody"}, "migration", "unknown_value"),
    Case("POST", "plans/sketch/publish", {"migration": None}, "migration", "unknown_value"),
    Case("POST", "plans/sketch/publish", {"version": 1}, "version", "unknown_field"),
    asked("plans/pro?version=0", "version", "bad_format"),
    asked("plans/pro?version=-1", "version", "bad_format"),
    asked("plans/pro?version=1.0", "version", "bad_format"),
    asked("plans/pro?version=01", "version", "bad_format"),
    asked("plans/pro?version=latest", "version", "bad_format"),
    asked("plans/pro?version=", "version", "bad_format"),
    asked("plans/pro?version=9999999999", "version", "bad_format"),
    asked("addons/storage?version=Draft", "version", "bad_format"),
    Case("GET", "plans/pro?version=2", None, "id", status=404, code="not_found"),
    Case("GET", "plans/pro?version=draft", None, "id", status=404, code="not_found"),
    Case("DELETE", "plans/pro/draft", None, "id", status=404, code="not_found"),
]

CUSTOMERS: Final = [
    *(
        bad("customers", CUSTOMER, "email", fault, email=value)
        for value, fault in (
            ("", "bad_format"),
            ("nobody", "bad_format"),
            ("@", "bad_format"),
            ("a@", "bad_format"),
            ("@b", "bad_format"),
            ("a@b@c", "bad_format"),
            ("a b@c.example", "bad_format"),
            ("a@b.example\n", "bad_format"),
            ("a\x00@b.example", "bad_format"),
            ("x" * 320 + "@b.example", "bad_length"),
            (5, "wrong_type"),
            (["a@b.example"], "wrong_type"),
        )
    ),
    bad("customers", CUSTOMER, "country", "bad_format", country="de"),
    bad("customers", CUSTOMER, "country", "bad_format", country="Germany"),
    bad("customers", CUSTOMER, "currency", "unknown_value", currency="USD"),
    bad("customers", CUSTOMER, "currency", "unknown_value", currency="xyz"),
    bad("customers", CUSTOMER, "currency", "unknown_value", currency=""),
    bad("customers", CUSTOMER, "currency", "wrong_type", currency=1),
    bad("customers", CUSTOMER, "status", "unknown_field", status="archived"),
    bad("customers", CUSTOMER, "billing", "unknown_field", billing=[]),
    change("customers/acme", "id", "unknown_field", id="other"),
    change("customers/acme", "version", "out_of_range", version=-1),
    change("customers/acme", "email", "bad_format", email="x"),
    asked("customers?email=" + "x" * 321, "email", "bad_length"),
]

GRANT: Final = {"feature_id": "sso", "value": True}
GRANTS: Final = [
    bad("customers/acme/grants", GRANT, "feature_id", "unknown_feature", feature_id="ghost"),
    bad("customers/acme/grants", GRANT, "feature_id", "archived", feature_id="old"),
    bad("customers/acme/grants", GRANT, "feature_id", "required", absent=("feature_id",)),
    bad("customers/acme/grants", GRANT, "value", "required", value=3),
    bad("customers/acme/grants", GRANT, "usage_limit", "not_allowed", usage_limit=3),
    bad(
        "customers/acme/grants",
        GRANT,
        "expires_at",
        "out_of_range",
        expires_at="2020-01-01T00:00:00Z",
    ),
    bad("customers/acme/grants", GRANT, "expires_at", "wrong_type", expires_at=5),
    bad("customers/acme/grants", GRANT, "reason", "bad_length", reason="x" * 501),
    bad("customers/acme/grants", GRANT, "resource_id", "bad_format", resource_id="a/b"),
    bad("customers/acme/grants", GRANT, "status", "unknown_field", status="active"),
    *(
        bad(
            "customers/acme/grants",
            GRANT,
            "depends_on_feature_id",
            fault,
            depends_on_feature_id=one,
        )
        for one, fault in (("size", "missing_dependency"), ("sso", "cycle"))
    ),
    bad("customers", CUSTOMER, "timezone", "unknown_value", timezone="Mars/Olympus"),
    bad("customers", CUSTOMER, "timezone", "bad_format", timezone="../UTC"),
    change("customers/acme", "timezone", "wrong_type", timezone=1),
    bad("plans", DRAFT, "grace_period_days", "out_of_range", grace_period_days=-1),
    bad("plans", DRAFT, "grace_period_days", "wrong_type", grace_period_days="1"),
]

BATCH: Final = {"checks": [{"customer_id": "acme", "feature_id": "sso"}]}
CHECKS: Final = [
    bad("entitlements/check", BATCH, "checks", "bad_length", checks=[]),
    bad("entitlements/check", BATCH, "checks", "bad_length", checks=BATCH["checks"] * 101),
    bad("entitlements/check", BATCH, "checks", "wrong_type", checks={}),
    bad(
        "entitlements/check",
        BATCH,
        "checks[0].feature_id",
        "required",
        checks=[{"customer_id": "a"}],
    ),
    bad("entitlements/check", BATCH, "explain", "wrong_type", explain="true"),
    asked("customers/acme/entitlements/sso?resource_id=a%2Fb", "resource_id", "bad_format"),
    asked("customers/acme/entitlements/sso?explain=1", "explain", "wrong_type"),
    *(
        asked(f"customers/acme/entitlements/sso?requested_usage={value}", "requested_usage", fault)
        for value, fault in (
            ("-1", "out_of_range"),
            ("x", "wrong_type"),
            ("", "wrong_type"),
            ("1.5", "wrong_type"),
            ("1e3", "wrong_type"),
            ("true", "wrong_type"),
            ("9007199254740992", "out_of_range"),
            ("9" * 30, "wrong_type"),
            ("%D9%A3", "wrong_type"),
            ("1&requested_usage=2", "repeated"),
        )
    ),
    asked("customers/acme/entitlements/sso?consistent=1", "consistent", "wrong_type"),
    asked("customers/acme/entitlements/sso?consistent=True", "consistent", "wrong_type"),
    asked("customers/acme/entitlements/sso?consistent=", "consistent", "wrong_type"),
    asked("customers/acme/entitlements?consistent=yes", "consistent", "wrong_type"),
    asked("customers/acme/entitlements?requested_usage=1", "requested_usage", "unknown_field"),
    asked(
        "customers/acme/entitlements/region?" + "&".join(["requested_values=eu"] * 101),
        "requested_values",
        "bad_length",
    ),
]

ORDERS: Final = [
    case
    for path in ("subscriptions", "checkout_sessions")
    for case in (
        bad(path, ORDER, "customer_id", "required", absent=("customer_id",)),
        bad(path, ORDER, "plan_id", "required", absent=("plan_id",)),
        bad(path, ORDER, "customer_id", "bad_format", customer_id="a/b"),
        bad(path, ORDER, "customer_id", "wrong_type", customer_id=None),
        bad(path, ORDER, "plan_id", "bad_format", plan_id=""),
        bad(path, ORDER, "billing_period", "unknown_value", billing_period="monthly"),
        bad(path, ORDER, "billing_period", "no_such_price", billing_period="year"),
        bad(path, ORDER, "currency", "bad_format", currency="USD"),
        bad(path, ORDER, "currency", "no_such_price", currency="eur"),
        bad(path, ORDER, "currency", "no_such_price", currency="zzz"),
        bad(path, ORDER, "amount", "unknown_field", amount=1),
        bad(path, ORDER, "price_id", "unknown_field", price_id="price_1"),
        bad(path, ORDER, "price", "unknown_field", price={"amount": 1}),
        bad(path, ORDER, "plan_version", "unknown_field", plan_version=1),
        bad(path, ORDER, "addons[0].id", "required", addons=[{}]),
        bad(path, ORDER, "addons[0].id", "unknown_addon", addons=[{"id": "nobody"}]),
        bad(path, ORDER, "addons[0].id", "incompatible_addon", addons=[{"id": "foreign"}]),
        bad(path, ORDER, "addons[1].id", "duplicate", addons=[{"id": "storage"}] * 2),
        bad(path, ORDER, "addons", "bad_length", addons=[{"id": f"a{n}"} for n in range(19)]),
        bad(path, ORDER, "addons", "wrong_type", addons="storage"),
        bad(path, ORDER, "addons[0]", "wrong_type", addons=["storage"]),
        *(
            bad(path, ORDER, "addons[0].quantity", fault, addons=[{"id": "storage", "quantity": n}])
            for n, fault in (
                (0, "out_of_range"),
                (-1, "out_of_range"),
                (6, "out_of_range"),
                (10**7, "out_of_range"),
                (1.0, "wrong_type"),
                ("1", "wrong_type"),
                (True, "wrong_type"),
            )
        ),
        bad(path, ORDER, "quantities.sso", "not_sold_by_unit", quantities={"sso": 1}),
        bad(path, ORDER, "quantities.sso", "out_of_range", quantities={"sso": -1}),
        bad(path, ORDER, "quantities.sso", "wrong_type", quantities={"sso": "1"}),
        bad(path, ORDER, "quantities.a/b", "bad_format", quantities={"a/b": 1}),
        bad(path, ORDER, "quantities", "wrong_type", quantities=[1]),
        bad(path, ORDER, "success_url", "bad_length", success_url=""),
        bad(path, ORDER, "success_url", "bad_length", success_url="x" * 2001),
        bad(path, ORDER, "success_url", "wrong_type", success_url=5),
        Case("POST", path, {**ORDER, "customer_id": "nobody"}, "id", status=404, code="not_found"),
        Case("POST", path, {**ORDER, "plan_id": "nobody"}, "id", status=404, code="not_found"),
        Case(
            "POST",
            path,
            {**ORDER, "plan_id": "sketch"},
            "plan_id",
            status=409,
            code="not_published",
        ),
        Case("POST", path, {**ORDER, "plan_id": "retired"}, "plan_id", status=409, code="archived"),
        Case(
            "POST",
            path,
            {**ORDER, "customer_id": "gone"},
            "customer_id",
            status=409,
            code="archived",
        ),
        Case(
            "POST",
            path,
            {**ORDER, "customer_id": "acme"},
            "plan_id",
            status=409,
            code="subscription_exists",
        ),
    )
]

OPERATING: Final = [
    bad("checkout_sessions", ORDER, "ui_mode", "unknown_value", ui_mode="popup"),
    bad("checkout_sessions", {**ORDER, "plan_id": "free"}, "plan_id", "nothing_to_pay"),
    bad("subscriptions", ORDER, "ui_mode", "unknown_field", ui_mode="hosted"),
    asked("subscriptions", "customer_id", "required"),
    asked("subscriptions?customer_id=a/b", "customer_id", "bad_format"),
    asked("subscriptions?customer_id=", "customer_id", "bad_format"),
    asked("audit_log", "entity", "required"),
    asked("audit_log?entity=pro", "entity", "bad_format"),
    asked("audit_log?entity=plan:", "entity", "bad_format"),
    asked("audit_log?entity=plan:a%23b", "entity", "bad_format"),
    asked("billing_events?status=lost", "status", "unknown_value"),
    asked("billing_events?status=", "status", "unknown_value"),
    asked("sync_tasks?status=processed", "status", "unknown_value"),
    bad("api_keys", KEY, "scopes", "bad_length", scopes=[]),
    bad("api_keys", KEY, "scopes[0]", "unknown_value", scopes=["everything"]),
    bad("api_keys", KEY, "scopes", "wrong_type", scopes="check"),
    bad("api_keys", KEY, "kind", "unknown_value", kind="public"),
    bad("api_keys", KEY, "scopes", "not_allowed", kind="publishable", scopes=["catalog:read"]),
    bad("api_keys", KEY, "secret", "unknown_field", secret="pg_sk_test_x"),
    bad("api_keys", KEY, "environment", "unknown_field", environment="live"),
]

STANDING_IN_THE_WAY: Final = [
    Case(
        "POST", "products", {"id": "app", "name": "Else"}, "id", status=409, code="already_exists"
    ),
    Case(
        "POST",
        "features",
        {"id": "sso", "name": "SSO", "type": "metered"},
        "id",
        status=409,
        code="already_exists",
    ),
    Case("POST", "plans", {**PLAN, "name": "Else"}, "id", status=409, code="already_exists"),
    Case("POST", "addons", {**ADDON, "name": "Else"}, "id", status=409, code="already_exists"),
    Case("POST", "customers", {"id": "acme"}, "id", status=409, code="already_exists"),
    Case("POST", "products/app/archive", None, None, status=409, code="in_use"),
    Case("POST", "features/sso/archive", None, None, status=409, code="in_use"),
    Case("PATCH", "plans/retired", {"name": "x"}, None, status=409, code="archived"),
    Case("POST", "plans/pro/publish", None, None, status=409, code="nothing_to_publish"),
    *(
        Case("PATCH", path, {"name": "x", guard: 99}, guard, status=409, code="version_conflict")
        for path, guard in (
            ("products/app", "version"),
            ("features/sso", "version"),
            ("customers/acme", "version"),
            ("plans/sketch", "revision"),
            ("addons/addon-sketch", "revision"),
        )
    ),
]

CASES: Final = [
    *IDS,
    *NAMES,
    *METADATA,
    *FEATURES,
    *PRICES,
    *PACKAGES,
    *CUSTOMERS,
    *GRANTS,
    *CHECKS,
    *ORDERS,
    *OPERATING,
    *STANDING_IN_THE_WAY,
]


def label(number: int, case: Case) -> str:
    path = case.path.partition("?")[0]
    return f"{number:03d}-{case.method}-{path}-{case.param}-{case.fault or case.code}"


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=label(number, case)) for number, case in enumerate(CASES)]
)
def test_request_with_a_fault_is_refused_by_its_name_and_changes_nothing(
    deployment: Deployment, case: Case
) -> None:
    before = dump(deployment.store)
    for headers in ({}, {"Idempotency-Key": "k"}, {"Idempotency-Key": "k"}):
        answer = deployment.send(case.method, f"/v1/{case.path}", case.body, headers=headers)
        assert_problem(answer, case.status, case.code)
        assert_described(case.described, answer)
        assert answer.json.get("param") == case.param
        if case.fault is not None:
            first = answer.json["errors"][0]
            assert (first["param"], first["code"]) == (case.param, case.fault)
    assert dump(deployment.store) == before
    assert deployment.fake.calls == []
    assert deployment.queue.messages == []
    assert deployment.monitor.named("api_crash") == []


HOSTILE_URLS: Final = [
    "//evil.example",
    "///evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "https://evil.example/",
    "http://shop.example.test/",
    "HTTPS://shop.example.test/",
    "https://SHOP.example.test/",
    "https://shop.example.test.evil.example/",
    "https://shop.example.testevil.example/",
    "https://shop.example.test@evil.example/",
    "https://shop.example.test:pw@evil.example/",
    "https://user@shop.example.test/",
    "https://shop.example.test:8443/",
    "https://shop.example.test:443@evil.example/",
    "https://shop.example.test#@evil.example/",
    "https://shop.example.test#/",
    "https://shop.example.test\\@evil.example/",
    "https://shop.example.test\\.evil.example/",
    "https:\\\\shop.example.test/",
    "\\\\evil.example",
    "/\\evil.example",
    "https://evil.example\\shop.example.test/",
    "https://evil.example/https://shop.example.test/",
    "https://evil.example?https://shop.example.test/",
    "https://shop.example.test.",
    "https://shop.example.test%2eevil.example/",
    "https://shop.example.test%00.evil.example/",
    "https://shop.example.test\x00/",
    "https://shop.example.test\t/",
    "https://shop.example.test/\nSet-Cookie: a=b",
    "https://shop.example.test/a b",
    " https://shop.example.test/",
    "\thttps://shop.example.test/",
    "https://shop.example.test /",
    "https://xn--shp-qma.example.test/",
    "https://sh\u0585p.example.test/",
    "https://shop\u3002example.test/",
    "https://shop.example.test\uff0f.evil.example/",
    "https://shop.example.test/é",
    "https://[::1]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://localhost/",
    "https://0x7f000001/",
    "javascript:alert(1)//https://shop.example.test/",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "ftp://shop.example.test/",
    "blob:https://shop.example.test/x",
    "/relative",
    "relative",
    "?query",
    "#fragment",
    "https://",
    "https",
    "https://shop.example.test/<script>",
    'https://shop.example.test/"onclick=',
    "https://shop.example.test/{EVIL}",
    "https://evil.example/{CHECKOUT_SESSION_ID}",
    "{CHECKOUT_SESSION_ID}https://shop.example.test/",
    "https://shop.example.test{CHECKOUT_SESSION_ID}.evil.example/",
    "https://shop.example.te{CHECKOUT_SESSION_ID}st/",
]


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_return_url_off_the_list_is_refused_and_changes_nothing(
    deployment: Deployment, url: str
) -> None:
    before = dump(deployment.store)
    for path in ("subscriptions", "checkout_sessions"):
        for param in ("success_url", "cancel_url"):
            answer = deployment.send("POST", f"/v1/{path}", {**ORDER, param: url})
            assert_problem(answer, 422, "invalid")
            fault = answer.json["errors"][0]
            assert (fault["param"], fault["code"]) == (param, "origin_not_allowed")
    assert dump(deployment.store) == before
    assert deployment.fake.calls == []


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example.test",
        "https://shop.example.test/",
        "https://shop.example.test?a=b",
        "https://shop.example.test/thanks?session={CHECKOUT_SESSION_ID}&next=%2Fhome#top",
        "https://shop.example.test/a/../b",
        "https://shop.example.test/@evil.example",
        "https://shop.example.test//evil.example",
    ],
)
def test_return_url_on_the_list_is_taken(deployment: Deployment, url: str) -> None:
    body = {**ORDER, "success_url": url, "cancel_url": url}
    assert deployment.send("POST", "/v1/checkout_sessions", body).status == 201


PER_UNIT: Final = {**MONTHLY, "model": "per_unit", "feature_id": "calls"}
PAID: Final[dict[str, Any]] = {"pricing_type": "paid", "prices": [MONTHLY]}

# What a draft may hold and a publication may not, with the first thing that is said against it.
CONTRADICTIONS: Final[list[tuple[str, str, str, dict[str, Any]]]] = [
    ("plans", "prices", "required", {**FREE, "pricing_type": "paid"}),
    ("plans", "prices", "not_allowed", {**PAID, "pricing_type": "free"}),
    ("plans", "prices", "not_allowed", {**PAID, "pricing_type": "custom"}),
    ("plans", "compatible_addons[0]", "unknown_addon", {"compatible_addons": ["nobody"]}),
    ("plans", "compatible_addons[0]", "unknown_addon", {"compatible_addons": ["addon-sketch"]}),
    ("plans", "compatible_addons[0]", "other_product", {"compatible_addons": ["foreign"]}),
    ("plans", "parent_plan_id", "unknown_plan", {"parent_plan_id": "nobody"}),
    ("plans", "parent_plan_id", "other_product", {"parent_plan_id": "elsewhere"}),
    ("plans", "parent_plan_id", "not_published", {"parent_plan_id": "sketch"}),
    ("plans", "parent_plan_id", "cycle", {"parent_plan_id": "made"}),
    *(
        ("plans", f"entitlements[0].{field}", code, {"entitlements": [entitlement]})
        for field, code, entitlement in (
            ("feature_id", "unknown_feature", {"feature_id": "nobody", "value": True}),
            ("feature_id", "archived", {"feature_id": "old", "value": True}),
            ("value", "required", {"feature_id": "sso"}),
            ("value", "required", {"feature_id": "sso", "value": 1}),
            (
                "behavior",
                "not_allowed",
                {"feature_id": "sso", "value": True, "behavior": "increment"},
            ),
            ("values", "not_allowed", {"feature_id": "sso", "value": True, "values": ["a"]}),
            ("usage_limit", "not_allowed", {"feature_id": "sso", "value": True, "usage_limit": 1}),
            (
                "usage_limit",
                "not_allowed",
                {"feature_id": "sso", "value": True, "is_unlimited": True},
            ),
            (
                "reset_period",
                "not_allowed",
                {"feature_id": "sso", "value": True, "reset_period": "day"},
            ),
            ("value", "required", {"feature_id": "size"}),
            ("value", "required", {"feature_id": "size", "value": True}),
            ("values", "required", {"feature_id": "region"}),
            ("values", "unknown_value", {"feature_id": "region", "values": ["eu", "mars"]}),
            ("value", "not_allowed", {"feature_id": "region", "value": True, "values": ["eu"]}),
            ("value", "not_allowed", {"feature_id": "calls", "value": 5, "usage_limit": 5}),
            ("usage_limit", "required", {"feature_id": "calls"}),
            (
                "usage_limit",
                "required",
                {"feature_id": "calls", "usage_limit": 5, "is_unlimited": True},
            ),
            (
                "has_soft_limit",
                "not_allowed",
                {"feature_id": "calls", "is_unlimited": True, "has_soft_limit": True},
            ),
        )
    ),
    (
        "plans",
        "entitlements[1].feature_id",
        "duplicate",
        {
            "entitlements": [
                {"feature_id": "sso", "value": True},
                {"feature_id": "sso", "value": False},
            ]
        },
    ),
    *(
        ("plans", f"prices[0].{field}", code, {"prices": [price]})
        for field, code, price in (
            ("currency", "unknown_currency", {**MONTHLY, "currency": "zzz"}),
            ("billing_period", "required", {**MONTHLY, "billing_period": None}),
            ("interval_count", "out_of_range", {**MONTHLY, "interval_count": 37}),
            ("amount", "required", {**MONTHLY, "amount": None}),
            ("amount", "required", {**MONTHLY, "amount_decimal": "19"}),
            ("amount", "out_of_range", {**MONTHLY, "amount": 100_000_000}),
            ("feature_id", "not_allowed", {**MONTHLY, "feature_id": "calls"}),
            ("feature_id", "required", {**PER_UNIT, "feature_id": None}),
            ("feature_id", "unknown_feature", {**PER_UNIT, "feature_id": "nobody"}),
            ("feature_id", "feature_type_mismatch", {**PER_UNIT, "feature_id": "sso"}),
            ("max_quantity", "out_of_range", {**PER_UNIT, "min_quantity": 5, "max_quantity": 4}),
            ("min_quantity", "not_allowed", {**MONTHLY, "min_quantity": 1}),
        )
    ),
    (
        "plans",
        "prices[1].id",
        "duplicate",
        {"prices": [{**MONTHLY, "id": "a"}, {**MONTHLY, "id": "a"}]},
    ),
    (
        "plans",
        "prices[1]",
        "duplicate",
        {"prices": [{**MONTHLY, "id": "a"}, {**MONTHLY, "id": "b"}]},
    ),
    ("addons", "prices", "required", {"prices": []}),
    (
        "addons",
        "entitlements[0].feature_id",
        "unknown_feature",
        {"entitlements": [{"feature_id": "x"}]},
    ),
]


@pytest.mark.parametrize(
    ("kind", "param", "code", "content"),
    [
        pytest.param(*row, id=f"{number:02d}-{'-'.join(row[:3])}")
        for number, row in enumerate(CONTRADICTIONS)
    ],
)
def test_publication_of_a_contradiction_names_it_and_leaves_the_draft(
    deployment: Deployment, kind: str, param: str, code: str, content: dict[str, Any]
) -> None:
    sketch = PLAN if kind == "plans" else ADDON
    made = deployment.send("POST", f"/v1/{kind}", {**sketch, "id": "made", **content})
    assert made.status == 201, made.body
    before = dump(deployment.store)
    answer = deployment.send("POST", f"/v1/{kind}/made/publish")
    assert_problem(answer, 422, "invalid")
    assert_described(OPERATIONS["POST", f"/v1/{kind}/{{{kind[:-1]}_id}}/publish"], answer)
    found = [(error["param"], error["code"]) for error in answer.json["errors"]]
    assert (param, code) in found
    assert dump(deployment.store) == before
    assert deployment.queue.messages == []


def test_publication_with_many_contradictions_names_all(deployment: Deployment) -> None:
    content = {
        "entitlements": [{"feature_id": f"no-{number}"} for number in range(40)],
        "prices": [{**MONTHLY, "currency": "zzz", "feature_id": "x"} for _ in range(40)],
    }
    assert deployment.send("POST", "/v1/plans", {**PLAN, "id": "made", **content}).status == 201
    answer = deployment.send("POST", "/v1/plans/made/publish")
    assert_problem(answer, 422, "invalid")
    assert len(answer.json["errors"]) == 50


# Questions that no fault is found in: what does not fit the feature is a no with its reason.
DENIALS: Final = {
    "sso?requested_usage=1": "feature_type_mismatch",
    "sso?requested_values=eu": "feature_type_mismatch",
    "calls": "no_feature_entitlement_in_subscription",
    "nobody": "feature_not_found",
}


@pytest.mark.parametrize("question", DENIALS)
def test_check_that_does_not_fit_is_denied_with_its_reason(
    deployment: Deployment, question: str
) -> None:
    answer = deployment.send("GET", f"/v1/customers/acme/entitlements/{question}")
    assert answer.status == 200
    assert (answer.json["has_access"], answer.json["denied_reason"]) == (False, DENIALS[question])


def test_tables_hold_many_cases() -> None:
    assert len(CASES) + len(HOSTILE_URLS) + len(CONTRADICTIONS) >= 400
