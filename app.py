"""The Chalice app: every blueprint, by name. Handlers, errors and wiring live in `chalicelib`."""

from chalice.app import Chalice

from chalicelib.api import (
    health,
)

app = Chalice(app_name="paygrade")

for blueprint in (health.bp,):
    app.register_blueprint(blueprint)
