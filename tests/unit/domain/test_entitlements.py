import pytest

from chalicelib.domain.entitlements import (
    Behavior,
    Entitlement,
    ResetPeriod,
    entitlement_violations,
    inherit,
)
from chalicelib.domain.features import FeatureType, Lifecycle
from chalicelib.domain.ids import FeatureId
from tests.factories import a_feature, a_limit, a_value, features_by_id

FEATURES = features_by_id(
    a_feature("sso", FeatureType.BOOLEAN),
    a_feature("projects", FeatureType.NUMERIC),
    a_feature("regions", FeatureType.ENUM, values=("eu", "us")),
    a_feature("seats", FeatureType.METERED),
    a_feature("old", FeatureType.BOOLEAN, status=Lifecycle.ARCHIVED),
)


def bare(feature_id: str, **fields: object) -> Entitlement:
    return Entitlement(feature_id=FeatureId(feature_id), **fields)  # type: ignore[arg-type]  # fields of any type


def faults(*entitlements: Entitlement) -> list[tuple[str, str]]:
    return [(found.param, found.code) for found in entitlement_violations(entitlements, FEATURES)]


def test_entitlements_fitting_their_features_have_no_violation() -> None:
    assert not faults(
        a_value("sso", True),
        a_value("projects", 0, behavior=Behavior.INCREMENT),
        bare("regions", values=("eu",)),
        a_limit("seats", 0, has_soft_limit=True, reset_period=ResetPeriod.MONTH),
    )
    assert not faults(a_limit("seats", None))


@pytest.mark.parametrize(
    ("entitlement", "expected"),
    [
        (bare("sso"), ("value", "required")),
        (bare("sso", value=1), ("value", "required")),
        (a_value("sso", True, behavior=Behavior.INCREMENT), ("behavior", "not_allowed")),
        (bare("projects"), ("value", "required")),
        (bare("projects", value=True), ("value", "required")),
        (bare("projects", value=-1), ("value", "required")),
        (bare("regions", values=("eu",), value=1), ("value", "not_allowed")),
        (a_limit("seats", 1, value=1), ("value", "not_allowed")),
        (bare("regions", values=("mars",)), ("values", "unknown_value")),
        (bare("regions"), ("values", "required")),
        (bare("sso", value=True, values=("a",)), ("values", "not_allowed")),
        (a_limit("seats", 1, values=("a",)), ("values", "not_allowed")),
        (bare("sso", value=True, usage_limit=0), ("usage_limit", "not_allowed")),
        (bare("sso", value=True, is_unlimited=True), ("usage_limit", "not_allowed")),
        (bare("projects", value=1, has_soft_limit=True), ("usage_limit", "not_allowed")),
        (
            bare("projects", value=1, reset_period=ResetPeriod.DAY),
            ("reset_period", "not_allowed"),
        ),
        (bare("seats"), ("usage_limit", "required")),
        (bare("seats", usage_limit=1, is_unlimited=True), ("usage_limit", "required")),
        (bare("seats", usage_limit=-1), ("usage_limit", "out_of_range")),
        (a_limit("seats", None, has_soft_limit=True), ("has_soft_limit", "not_allowed")),
        (bare("ghost"), ("feature_id", "unknown_feature")),
        (a_value("old", True), ("feature_id", "archived")),
    ],
)
def test_entitlement_contradicting_its_feature_is_refused_by_field(
    entitlement: Entitlement, expected: tuple[str, str]
) -> None:
    field, code = expected
    assert faults(entitlement) == [(f"entitlements[0].{field}", code)]


def test_entitlements_of_one_feature_twice_are_refused_at_the_second() -> None:
    assert faults(a_limit("seats", 1), a_value("sso", True), a_limit("seats", 2)) == [
        ("entitlements[2].feature_id", "duplicate")
    ]


def test_inherit_childs_own_replaces_parents_and_order_is_by_feature() -> None:
    parent = [a_limit("seats", 1), a_value("sso", True)]
    own = [a_limit("seats", 9), a_limit("api", 5)]
    assert inherit(parent, own) == (a_limit("api", 5), a_limit("seats", 9), a_value("sso", True))


def test_inherit_nothing_from_nobody_is_the_childs_own() -> None:
    assert inherit((), (a_limit("b"), a_limit("a"))) == (a_limit("a"), a_limit("b"))
