"""The Chalice app: every noun of the API and every event handler, by name. The rest lives in `chalicelib`."""

from chalicelib.api.routing import Paygrade

CATALOG = ("features", "products", "plans", "addons", "coupons", "catalog", "catalog_import")
SELLING = (
    "customers",
    "customer_import",
    "grants",
    "entitlements",
    "entitlement_tokens",
    "usage",
    "usage_history",
    "usage_shards",
    "reservations",
    "subscriptions",
    "subscription_changes",
    "subscription_previews",
    "checkout_sessions",
    "paywall",
    "portal",
    "webhooks",
)
OPERATIONS = (
    "billing_events",
    "sync_tasks",
    "usage_charges",
    "reconciliations",
    "migrations",
    "webhook_endpoints",
    "outbound_events",
    "audit_log",
    "api_keys",
    "integrations",
    "customer_tokens",
    "health",
    "clock",
    "docs",
)
EVENTS = ("sync", "converge", "start_reconcile", "reconcile", "migrate", "deliver", "sweep")

app = Paygrade(app_name="paygrade")
app.compose((*CATALOG, *SELLING, *OPERATIONS), EVENTS)
