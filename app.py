"""The Chalice app: every blueprint, by name. Handlers, errors and wiring live in `chalicelib`."""

from chalice.app import Chalice

from chalicelib.api import (
    addons,
    api_keys,
    audit_log,
    billing_events,
    browsers,
    catalog,
    catalog_import,
    checkout_sessions,
    clock,
    coupons,
    customer_tokens,
    customers,
    docs,
    entitlements,
    features,
    grants,
    health,
    migrations,
    outbound_events,
    paywall,
    plans,
    portal,
    products,
    reconciliations,
    reservations,
    subscription_changes,
    subscriptions,
    sync_tasks,
    usage,
    webhook_endpoints,
    webhooks,
)
from chalicelib.events import converge, deliver, migrate, reconcile, sweep, sync

CATALOG = (features, products, plans, addons, coupons, catalog, catalog_import)
SELLING = (
    customers,
    grants,
    entitlements,
    usage,
    reservations,
    subscriptions,
    subscription_changes,
    checkout_sessions,
    paywall,
    portal,
    webhooks,
)
OPERATIONS = (
    billing_events,
    sync_tasks,
    reconciliations,
    migrations,
    webhook_endpoints,
    outbound_events,
    audit_log,
    api_keys,
    customer_tokens,
    health,
    clock,
    docs,
)
EVENTS = (sync, converge, reconcile, migrate, deliver, sweep)

app = Chalice(app_name="paygrade")

for noun in (*CATALOG, *SELLING, *OPERATIONS, *EVENTS):
    app.register_blueprint(noun.bp)
browsers.allow_preflight(app)
