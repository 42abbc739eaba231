"""The catalog that is carried over to Stripe before somebody edits it there."""

from typing import Any, Final

PRODUCT: Final = "pg_test_plan_pro"
KEY: Final = "paygrade:test:plan:pro"
MONTH: Final = {"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": 1900}
YEAR: Final = {**MONTH, "billing_period": "year", "amount": 19000}
CALLS: Final = {**MONTH, "model": "usage_based", "feature_id": "calls", "amount": 2}
COUPON: Final = {
    "id": "launch",
    "name": "Launch",
    "percent_off": 25,
    "duration": "once",
    "promotion_code": "LAUNCH25",
}
STOCK: Final[list[tuple[str, Any]]] = [
    ("products", {"id": "app", "name": "App"}),
    ("features", {"id": "calls", "name": "Calls", "type": "metered"}),
    (
        "plans",
        {
            "id": "pro",
            "product_id": "app",
            "name": "Pro",
            "description": "For teams",
            "pricing_type": "paid",
            "entitlements": [
                {"feature_id": "calls", "is_unlimited": True, "behavior": "increment"}
            ],
            "prices": [MONTH, YEAR, CALLS],
        },
    ),
    ("plans/pro/publish", None),
    ("coupons", COUPON),
]
