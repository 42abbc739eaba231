import pytest

from chalicelib.domain.features import (
    Aggregation,
    Feature,
    FeatureType,
    Meter,
    UsageKind,
    feature_violations,
)
from tests.factories import a_feature

B, N, E, M = FeatureType.BOOLEAN, FeatureType.NUMERIC, FeatureType.ENUM, FeatureType.METERED


def faults(feature: Feature) -> list[tuple[str, str]]:
    return [(found.param, found.code) for found in feature_violations(feature)]


@pytest.mark.parametrize(
    "feature",
    [
        a_feature("f", B),
        a_feature("f", N),
        a_feature("f", E, values=("a", "b")),
        a_feature("f", M),
        a_feature("f", M, usage_kind=UsageKind.FLUCTUATING),
        a_feature("f", M, meter=Meter(aggregation=Aggregation.COUNT)),
        a_feature("f", M, meter=Meter(aggregation=Aggregation.SUM, property="bytes")),
    ],
)
def test_feature_without_contradiction_has_no_violation(feature: Feature) -> None:
    assert faults(feature) == []


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (a_feature("f", E, values=()), ("values", "required")),
        (a_feature("f", B, values=("a",)), ("values", "not_allowed")),
        (a_feature("f", E, values=("a", "a")), ("values", "duplicate")),
        (a_feature("f", N, usage_kind=UsageKind.INCREMENTAL), ("usage_kind", "not_allowed")),
        (a_feature("f", B, meter=Meter(aggregation=Aggregation.COUNT)), ("meter", "not_allowed")),
        *(
            (a_feature("f", M, meter=Meter(aggregation=one)), ("meter.property", "required"))
            for one in Aggregation
            if one is not Aggregation.COUNT
        ),
    ],
)
def test_feature_with_contradiction_is_refused_by_field(
    feature: Feature, expected: tuple[str, str]
) -> None:
    assert faults(feature) == [expected]
