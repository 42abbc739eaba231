"""The Chalice app: every blueprint, by name. Handlers, errors and wiring live in `chalicelib`."""

from chalice.app import Chalice

from chalicelib.api import (
    addons,
    api_keys,
    docs,
    features,
    health,
    plans,
    products,
)

app = Chalice(app_name="paygrade")

for blueprint in (
    features.bp,
    products.bp,
    plans.bp,
    addons.bp,
    api_keys.bp,
    health.bp,
    docs.bp,
):
    app.register_blueprint(blueprint)
