"""Customer portal sessions and their configurations."""

from __future__ import annotations

from typing import Any

from infra.local.stripe_stand_in import shape
from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import invalid, malformed
from infra.local.stripe_stand_in.router import route
from infra.local.stripe_stand_in.rules import matching, merge_metadata, page
from infra.local.stripe_stand_in.store import Obj, copy_of

_FEATURES: Obj = {
    "customer_update": {"allowed_updates": [], "enabled": False},
    "invoice_history": {"enabled": False},
    "payment_method_update": {"enabled": False, "payment_method_configuration": None},
    "subscription_cancel": {
        "cancellation_reason": {"enabled": False, "feedback_options": None, "options": []},
        "enabled": False,
        "mode": "at_period_end",
        "proration_behavior": "none",
    },
    "subscription_pause": {
        "duration": {"interval_options": [], "type": "indefinite"},
        "enabled": False,
    },
    "subscription_update": {
        "billing_cycle_anchor": None,
        "default_allowed_updates": [],
        "enabled": False,
        "products": None,
        "proration_behavior": "none",
        "schedule_at_period_end": {"conditions": []},
        "trial_update_behavior": "end_trial",
    },
}


@route("POST", "/v1/billing_portal/configurations")
def create_configuration(acct: Account, params: Obj) -> Obj:
    """A configuration; the first one becomes the default."""
    kind = "billing_portal.configuration"
    configuration = acct.new(
        kind,
        active=True,
        business_profile=shape.new(
            f"{kind}:BusinessProfile", **(params.get("business_profile") or {})
        ),
        default_return_url=params.get("default_return_url") or None,
        features=_merged(copy_of(_FEATURES), params.get("features") or {}),
        is_default=not acct.all(kind),
        login_page={"enabled": False, "url": None},
        metadata=merge_metadata({}, params.get("metadata")),
        name=params.get("name") or None,
        updated=acct.now(),
    )
    return acct.add(configuration, "billing_portal.configuration.created")


def _merged(base: Obj, given: Obj) -> Obj:
    for key, value in given.items():
        old = base.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            base[key] = _merged(old, value)
        else:
            base[key] = [] if value == "" else value
    return base


@route("GET", "/v1/billing_portal/configurations/{id}")
def retrieve_configuration(acct: Account, _params: Obj, configuration_id: str) -> Obj:
    """The configuration."""
    return acct.get("billing_portal.configuration", configuration_id)


@route("POST", "/v1/billing_portal/configurations/{id}")
def update_configuration(acct: Account, params: Obj, configuration_id: str) -> Obj:
    """The configuration with what was given changed."""
    configuration = acct.edit("billing_portal.configuration", configuration_id)
    for name in ("features", "business_profile"):
        configuration[name] = _merged(configuration[name], params.get(name) or {})
    for name in ("active", "default_return_url", "name"):
        if name in params:
            configuration[name] = None if params[name] == "" else params[name]
    configuration["metadata"] = merge_metadata(configuration["metadata"], params.get("metadata"))
    configuration["updated"] = acct.now()
    return acct.save(configuration, "billing_portal.configuration.updated")


@route("GET", "/v1/billing_portal/configurations")
def list_configurations(acct: Account, params: Obj) -> Obj:
    """Configurations, newest first."""
    kind = "billing_portal.configuration"
    found = matching(acct.all(kind), params, "active", "is_default")
    return page(acct, kind, found, params, "/v1/billing_portal/configurations")


@route("POST", "/v1/billing_portal/sessions")
def create_session(acct: Account, params: Obj) -> Obj:
    """A session with a page that shows the customer's subscriptions and leads back."""
    if "customer" not in params:
        raise malformed("Missing required param: customer.", "customer", "parameter_missing")
    customer = acct.get("customer", params["customer"], "customer")
    given = params.get("configuration")
    if given is not None:
        configuration = acct.get("billing_portal.configuration", given, "configuration")
    else:
        configuration = _default_configuration(acct)
    session = acct.new(
        "billing_portal.session",
        configuration=configuration["id"],
        customer=customer["id"],
        flow=_flow(params.get("flow_data")),
        locale=params.get("locale"),
        return_url=params.get("return_url") or configuration["default_return_url"],
        url="",
    )
    session["url"] = f"{acct.base_url}/p/session/{session['id']}"
    return acct.add(session, "billing_portal.session.created")


def _default_configuration(acct: Account) -> Obj:
    for configuration in acct.all("billing_portal.configuration"):
        if configuration["is_default"]:
            return configuration
    # A test account gets one the first time; a live one must save its settings first.
    return create_configuration(acct, {"features": {"invoice_history": {"enabled": True}}})


def _flow(given: Any) -> Obj | None:
    if given is None:
        return None
    kind = given["type"]
    if kind.startswith("subscription_") and kind not in given:
        raise invalid(
            f"Missing required param: flow_data[{kind}].", f"flow_data[{kind}]", "parameter_missing"
        )
    after = {"hosted_confirmation": None, "redirect": None, "type": "portal_homepage"}
    flow = shape.new("billing_portal.session:Flow", type=kind)
    flow["after_completion"] = {**after, **(given.get("after_completion") or {})}
    if kind in given:
        flow[kind] = given[kind]
    return flow
