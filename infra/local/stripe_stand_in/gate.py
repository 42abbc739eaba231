"""What a request must pass before it runs: its key, its route, the shape of its parameters."""

from __future__ import annotations

import base64
import binascii

from infra.local.stripe_stand_in.errors import StripeError
from infra.local.stripe_stand_in.params import decode_form
from infra.local.stripe_stand_in.router import Route, known_to_stripe
from infra.local.stripe_stand_in.schema import check_hash
from infra.local.stripe_stand_in.store import Obj
from infra.local.stripe_stand_in.wire import Request

# What the API lets `""` unset though the SDK's types do not say so, each with who said it:
# default_price: a Stripe engineer in github.com/stripe/stripe-python/issues/658.
_UNSETTABLE_BEYOND_THE_TYPES = {
    ("POST", "/v1/products/{id}"): frozenset({"default_price"}),
}


def typed_params(operation: Route, request: Request) -> Obj:
    """The request's parameters, refused unless the SDK's types allow them."""
    text = request.query
    if request.method == "POST":
        try:
            body = request.body.decode("utf-8")
        except UnicodeDecodeError:
            raise StripeError("Invalid request body encoding.", replayable=False) from None
        text = "&".join(part for part in (request.query, body) if part)
    elif request.body:
        text = "&".join(part for part in (text, request.body.decode("utf-8", "replace")) if part)
    raw = decode_form(text)
    # Every route's type is known, a test holds that; so no request goes unchecked.
    cls = operation.params_type() or dict
    beyond = _UNSETTABLE_BEYOND_THE_TYPES.get((operation.method, operation.template), frozenset())
    unset = {name: raw.pop(name) for name in beyond & raw.keys() if raw[name] == ""}
    return {**check_hash(cls, raw), **unset}


def authenticate(request: Request) -> None:
    """A test key was given; a live one is refused loudly, it must never get here."""
    header = request.header("Authorization") or ""
    scheme, _, given = header.partition(" ")
    key = given.strip()
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key).decode("utf-8", "replace").partition(":")[0]
        except (binascii.Error, ValueError):
            key = ""
    if key.startswith(("sk_live", "rk_live", "pk_live")):
        message = "A live key was sent to the Stripe stand-in. Use a key that begins with sk_test_."
    elif not key:
        message = (
            "You did not provide an API key. You need to provide your API key in the Authorization "
            "header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
        )
    elif key.startswith(("sk_test_", "rk_test_")):
        return
    else:
        message = f"Invalid API Key provided: {key[:8]}{'*' * 12}"
    raise StripeError(message, status=401, replayable=False)


def unknown_route(request: Request) -> StripeError:
    """501 for what Stripe has and the stand-in has not, 404 for what nobody has."""
    where = f"{request.method} {request.path}"
    if known_to_stripe(request.method, request.path):
        return StripeError(
            f"The stand-in does not emulate {where}.",
            status=501,
            type="api_error",
            code="not_emulated",
            replayable=False,
        )
    return StripeError(
        f"Unrecognized request URL ({request.method}: {request.path}).",
        status=404,
        replayable=False,
    )
