"""Whether a draft can be sold: everything that contradicts the catalog, with its place in the draft."""

from collections.abc import Iterable, Mapping, Sequence

from chalicelib.domain.dependencies import dependency_refusals, missing_features
from chalicelib.domain.entitlements import Entitlement, entitlement_violations
from chalicelib.domain.errors import Violation
from chalicelib.domain.features import Feature
from chalicelib.domain.ids import FeatureId, PackageId
from chalicelib.domain.plans import (
    Package,
    PackageContent,
    PackageKind,
    PackageVersion,
    PricingType,
    per_unit_features,
)
from chalicelib.domain.price_rules import price_violations
from chalicelib.domain.price_sets import selling_terms
from chalicelib.domain.prices import PriceModel, prices_on
from chalicelib.domain.trials import trial_refusals

_Refusal = tuple[str, str, str]
"""The field's path, a stable code, and what is wrong with it."""


def publication_violations(
    package: Package,
    content: PackageContent,
    features: Mapping[FeatureId, Feature],
    known_addons: Mapping[PackageId, Package],
    *,
    sold_addons: Mapping[PackageId, PackageVersion] | None = None,
    listing_plans: Sequence[PackageVersion] = (),
    inherited: Sequence[Entitlement] = (),
) -> tuple[Violation, ...]:
    """Every reason why this content can't be published; empty when it can.

    Args:
        package: What is published.
        content: The draft.
        features: All features.
        known_addons: The add-ons that a plan lists, as far as there are such.
        sold_addons: What is sold of them now.
        listing_plans: The plans on sale that list the add-on that is published.
        inherited: What the plan's parent grants.
    """
    found = list(entitlement_violations(content.entitlements, features))
    found += price_violations(content.prices, features)
    refusals = [
        *_pricing_refusals(package.kind, content),
        *trial_refusals(content),
        *_addon_refusals(package, content, known_addons),
        *_fit_refusals(content, sold_addons or {}, inherited),
        *dependency_refusals(
            content.entitlements, inherited, closed=package.kind is PackageKind.PLAN
        ),
        *_kind_refusals(package.kind, content, listing_plans),
    ]
    found += (Violation(param=param, code=code, detail=detail) for param, code, detail in refusals)
    return tuple(found)


def _pricing_refusals(kind: PackageKind, content: PackageContent) -> Iterable[_Refusal]:
    is_paid = content.pricing_type is PricingType.PAID
    if is_paid and not content.prices:
        yield "prices", "required", "A paid plan has at least one price."
    elif is_paid and kind is PackageKind.PLAN and _is_charged_once_only(content):
        yield "prices", "required", "A paid plan has at least one recurring price."
    if not is_paid and content.prices:
        yield "prices", "not_allowed", f"A {content.pricing_type} plan has no prices."


def _is_charged_once_only(content: PackageContent) -> bool:
    return all(price.model is PriceModel.ONE_OFF for price in content.prices)


def _addon_refusals(
    package: Package, content: PackageContent, known_addons: Mapping[PackageId, Package]
) -> Iterable[_Refusal]:
    listed: set[PackageId] = set()
    for index, addon_id in enumerate(content.compatible_addons):
        at = f"compatible_addons[{index}]"
        addon = known_addons.get(addon_id)
        if package.kind is PackageKind.ADDON:
            yield at, "not_allowed", "An add-on has no add-ons."
        elif addon_id in listed:
            yield at, "duplicate", f"The add-on {addon_id!r} is listed twice."
        elif addon is None or addon.published_version is None:
            yield at, "unknown_addon", f"No published add-on has the id {addon_id!r}."
        elif addon.product_id != package.product_id:
            yield at, "other_product", f"The add-on {addon_id!r} belongs to another product."
        listed.add(addon_id)


def _fit_refusals(
    content: PackageContent,
    sold_addons: Mapping[PackageId, PackageVersion],
    inherited: Sequence[Entitlement],
) -> Iterable[_Refusal]:
    """Whatever a plan is sold on, its add-ons are sold on, too, and none counts what the plan counts."""
    for index, addon_id in enumerate(content.compatible_addons):
        addon = sold_addons.get(addon_id)
        if addon is None:
            continue
        at = f"compatible_addons[{index}]"
        missing = _unsold_terms(content, addon.content)
        if missing is not None:
            detail = f"The add-on {addon_id!r} has no price for {missing}, on which this is sold."
            yield at, "missing_price", detail
        for feature_id in sorted(per_unit_features(content) & per_unit_features(addon.content)):
            detail = f"Both this and the add-on {addon_id!r} sell {feature_id!r} by the unit."
            yield at, "sold_twice", detail
        for feature_id in missing_features(addon.entitlements, (*inherited, *content.entitlements)):
            detail = f"The add-on {addon_id!r} needs {feature_id!r}, which this does not grant."
            yield at, "missing_dependency", detail


def _unsold_terms(plan: PackageContent, addon: PackageContent) -> str | None:
    for terms in selling_terms(plan.prices):
        if addon.prices and prices_on(addon.prices, terms) is None:
            return f"{terms.interval_count} {terms.billing_period} in {terms.currency!r}"
    return None


def _plan_refusals(content: PackageContent) -> Iterable[_Refusal]:
    if content.max_quantity is not None:
        yield "max_quantity", "not_allowed", "Only add-ons have a max_quantity."
    if content.grace_period_days is not None and content.grace_period_days < 0:
        yield "grace_period_days", "out_of_range", "A grace period lasts at least 0 days."


def _kind_refusals(
    kind: PackageKind, content: PackageContent, listing_plans: Sequence[PackageVersion]
) -> Iterable[_Refusal]:
    if kind is PackageKind.PLAN:
        yield from _plan_refusals(content)
        return
    if content.grace_period_days is not None:
        yield "grace_period_days", "not_allowed", "An add-on has the grace period of its plan."
    if content.parent_plan_id is not None:
        yield "parent_plan_id", "not_allowed", "An add-on has no parent plan."
    if per_unit_features(content) and content.max_quantity not in (None, 1):
        detail = "What is sold by the unit is taken once, with its units: max_quantity is 1."
        yield "max_quantity", "not_allowed", detail
    for plan in listing_plans:
        missing = _unsold_terms(plan.content, content)
        if missing is not None:
            detail = f"The plan {plan.id!r} takes this add-on and is sold for {missing}."
            yield "prices", "missing_price", detail
        for feature_id in sorted(per_unit_features(content) & per_unit_features(plan.content)):
            detail = f"The plan {plan.id!r} takes this add-on and sells {feature_id!r} by the unit."
            yield "prices", "sold_twice", detail
        for feature_id in missing_features(content.entitlements, plan.entitlements):
            detail = f"The plan {plan.id!r} takes this add-on and does not grant {feature_id!r}."
            yield "entitlements", "missing_dependency", detail
