"""The Chalice app: every noun of the API and every event handler, by name. The rest lives in `chalicelib`."""

from chalicelib.api.routing import Paygrade

CATALOG = ("features", "products", "coupons", "catalog", "catalog_import")
PACKAGES = ("plans", "plan_diffs", "addons", "addon_diffs")
CUSTOMERS = ("customers", "customer_import", "customer_tokens", "grants")
ENTITLEMENTS = ("entitlements", "entitlement_tokens")
USAGE = ("usage", "usage_history", "usage_shards", "usage_charges", "reservations")
SUBSCRIPTIONS = ("subscriptions", "subscription_changes", "subscription_previews", "migrations")
SELLING = ("checkout_sessions", "paywall", "portal")
BILLING = ("webhooks", "billing_events", "sync_tasks", "reconciliations", "integrations")
EVENTS_OUT = ("webhook_endpoints", "outbound_events")
OPERATIONS = ("api_keys", "audit_log", "health", "clock", "docs")
NOUNS = (
    *(*CATALOG, *PACKAGES, *CUSTOMERS, *ENTITLEMENTS, *USAGE, *SUBSCRIPTIONS),
    *(*SELLING, *BILLING, *EVENTS_OUT, *OPERATIONS),
)
HANDLERS = ("sync", "converge", "start_reconcile", "reconcile", "migrate", "deliver", "sweep")

app = Paygrade(app_name="paygrade")
app.compose(NOUNS, HANDLERS)
