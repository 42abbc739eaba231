"""Checks and helpers that several resources share: lengths, metadata, lists, filters."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from infra.local.stripe_stand_in.account import Account
from infra.local.stripe_stand_in.errors import invalid, malformed
from infra.local.stripe_stand_in.render import listing
from infra.local.stripe_stand_in.store import Obj

_METADATA_KEYS, _METADATA_KEY_LENGTH, _METADATA_VALUE_LENGTH = 50, 40, 500
_DEFAULT_LIMIT, _MAX_LIMIT = 10, 100


def limit_lengths(params: Obj, **limits: int) -> None:
    """Every named string is at most that long."""
    for name, longest in limits.items():
        value = params.get(name)
        if isinstance(value, str) and len(value) > longest:
            raise malformed(
                f"Invalid string: {value[:10]}...{value[-10:]}; must be at most {longest} "
                "characters",
                name,
            )


def merge_metadata(old: dict[str, str] | None, given: Any, param: str = "metadata") -> Obj:
    """Old keys kept, given ones set, empty ones gone; `""` for the whole clears it."""
    if given == "":
        return {}
    merged = dict(old or {})
    for key, value in (given or {}).items():
        if len(key) > _METADATA_KEY_LENGTH:
            raise malformed(
                f"Metadata keys can have up to {_METADATA_KEY_LENGTH} characters, but you passed "
                f"in a key that is {len(key)} characters. Invalid key: {key}",
                param,
            )
        if "[" in key or "]" in key:
            raise malformed("Metadata keys can't contain square brackets.", param)
        if len(value) > _METADATA_VALUE_LENGTH:
            raise malformed(
                f"Metadata values can have up to {_METADATA_VALUE_LENGTH} characters, but you "
                f"passed in a value that is {len(value)} characters.",
                f"{param}[{key}]",
            )
        if value == "":
            merged.pop(key, None)
        else:
            merged[key] = value
    if len(merged) > _METADATA_KEYS:
        raise malformed(
            f"Metadata can have up to {_METADATA_KEYS} keys, but you passed in {len(merged)}.",
            param,
        )
    return merged


def unset(value: Any) -> Any:
    """`""` is how a form says null."""
    return None if value == "" else value


def decimal_text(value: Decimal) -> str:
    """A decimal as Stripe writes it: no exponent, no trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def exclusive(params: Obj, *names: str) -> None:
    """At most one of the named parameters is given."""
    given = [name for name in names if name in params]
    if len(given) > 1:
        raise malformed(
            f"You may only specify one of these parameters: {', '.join(given)}.", given[0]
        )


def within(value: int, bounds: Any) -> bool:
    """Whether a number fits a range filter (`gt`, `gte`, `lt`, `lte`) or is the one given."""
    if not isinstance(bounds, dict):
        return bool(value == bounds)
    return (
        ("gt" not in bounds or value > bounds["gt"])
        and ("gte" not in bounds or value >= bounds["gte"])
        and ("lt" not in bounds or value < bounds["lt"])
        and ("lte" not in bounds or value <= bounds["lte"])
    )


def matching(objects: Iterable[Obj], params: Obj, *fields: str) -> list[Obj]:
    """Those whose fields equal the filters given; `created` may be a range."""
    wanted = {field: params[field] for field in fields if field in params}
    return [
        obj
        for obj in objects
        if all(obj.get(field) == value for field, value in wanted.items())
        and ("created" not in params or within(obj["created"], params["created"]))
    ]


def page(acct: Account, kind: str, oldest_first: list[Obj], params: Obj, url: str) -> Obj:
    """One page, newest first, of the objects that fit the filters."""
    limit = params.get("limit", _DEFAULT_LIMIT)
    if limit < 1:
        raise malformed(
            "This value must be greater than or equal to 1.", "limit", "parameter_invalid_integer"
        )
    if limit > _MAX_LIMIT:
        raise malformed(
            f"This value must be less than or equal to {_MAX_LIMIT}.",
            "limit",
            "parameter_invalid_integer",
        )
    exclusive(params, "starting_after", "ending_before")
    found = list(reversed(oldest_first))
    for name in ("starting_after", "ending_before"):
        if name in params:
            found = _beyond(acct, kind, found, params[name], name)
    if "ending_before" in params:
        return listing(url, found[-limit:], has_more=len(found) > limit)
    return listing(url, found[:limit], has_more=len(found) > limit)


def _beyond(acct: Account, kind: str, found: list[Obj], cursor: str, param: str) -> list[Obj]:
    acct.get(kind, cursor, param)
    # The cursor need not fit the filters, so its place among all objects of the kind counts.
    order = {obj["id"]: place for place, obj in enumerate(acct.store.scan(kind))}
    at = order[cursor]
    if param == "starting_after":
        return [obj for obj in found if order[obj["id"]] < at]
    return [obj for obj in found if order[obj["id"]] > at]


def require_one(params: Obj, *names: str) -> None:
    """At least one of the named parameters is given."""
    if not any(name in params for name in names):
        raise malformed(
            f"You must provide one of these parameters: {', '.join(names)}.",
            names[0],
            "parameter_missing",
        )


def refuse(
    condition: object, message: str, param: str | None = None, code: str | None = None
) -> None:
    """Nothing when the condition does not hold, Stripe's refusal otherwise."""
    if condition:
        raise invalid(message, param, code)
