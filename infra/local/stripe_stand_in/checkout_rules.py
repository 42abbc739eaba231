"""What Stripe refuses in the creation of a checkout session."""

from __future__ import annotations

from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.clock import DAY
from infra.local.stripe_stand_in.discounts import coupon_of
from infra.local.stripe_stand_in.errors import malformed
from infra.local.stripe_stand_in.rules import (
    exclusive,
    limit_lengths,
    refuse,
)
from infra.local.stripe_stand_in.store import Obj

_SOONEST_SECONDS = 30 * 60
LATEST_SECONDS = DAY
_TRIAL_NOTICE_SECONDS = 2 * DAY


def check(acct: Account, params: Obj, mode: str) -> None:
    """Nothing is wrong with the parameters as a whole; their lines are looked at by themselves."""
    limit_lengths(params, client_reference_id=200, success_url=5000, cancel_url=5000)
    exclusive(params, "customer", "customer_email")
    exclusive(params, "allow_promotion_codes", "discounts")
    if "customer" in params:
        acct.get("customer", params["customer"], "customer")
    elif "customer_update" in params:
        raise malformed("`customer_update` can only be used with `customer`.", "customer_update")
    if "customer_creation" in params and mode == "subscription":
        raise malformed(
            "`customer_creation` can only be used in `payment` mode.", "customer_creation"
        )
    _check_urls(params)
    expires_at = params.get("expires_at")
    refuse(
        expires_at is not None
        and not _SOONEST_SECONDS <= expires_at - acct.now() <= LATEST_SECONDS,
        "The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from "
        "Checkout Session creation.",
        "expires_at",
    )
    if "subscription_data" in params:
        if mode != "subscription":
            raise malformed(
                "You can not pass `subscription_data` in `payment` mode.", "subscription_data"
            )
        _check_trial(acct, params["subscription_data"])
    if "payment_intent_data" in params and mode != "payment":
        raise malformed(
            f"You can not pass `payment_intent_data` in `{mode}` mode.", "payment_intent_data"
        )
    given = params.get("discounts", [])
    refuse(len(given) > 1, "You can apply at most one discount.", "discounts")
    for i, entry in enumerate(given):
        coupon_of(acct, entry, f"discounts[{i}]")


def _check_urls(params: Obj) -> None:
    if params.get("ui_mode", "hosted_page") == "hosted_page":
        if "success_url" not in params:
            raise malformed(
                "Missing required param: success_url.", "success_url", "parameter_missing"
            )
        refused = "return_url"
    else:
        refused = next((n for n in ("success_url", "cancel_url") if n in params), "success_url")
        if "return_url" not in params and params.get("redirect_on_completion") != "never":
            raise malformed(
                "Missing required param: return_url.", "return_url", "parameter_missing"
            )
    if refused in params:
        mode = params.get("ui_mode", "hosted_page")
        raise malformed(f"`{refused}` cannot be used with `ui_mode: {mode}`.", refused)
    for name in ("success_url", "cancel_url", "return_url"):
        if name in params and not params[name].startswith(("http://", "https://")):
            raise malformed("Not a valid URL", name, "url_invalid")


def _check_trial(acct: Account, data: Obj) -> None:
    exclusive(data, "trial_period_days", "trial_end")
    days = data.get("trial_period_days")
    refuse(
        days is not None and days < 1,
        "The minimum number of trial period days is 1.",
        "subscription_data[trial_period_days]",
    )
    trial_end = data.get("trial_end")
    refuse(
        trial_end is not None and trial_end < acct.now() + _TRIAL_NOTICE_SECONDS,
        "The `trial_end` date has to be at least 2 days in the future.",
        "subscription_data[trial_end]",
    )
