"""What an environment does about drift, as its settings say."""

import pytest

from chalicelib import settings, wiring
from chalicelib.domain.reconciliations import DriftPolicy, DuplicatePolicy
from chalicelib.settings import SettingsError

BASE = {"PAYGRADE_PUBLIC_URL": "https://api.example.test"}


@pytest.mark.parametrize(
    ("variables", "policy"),
    [
        ({}, DriftPolicy.RESTORE),
        ({"PAYGRADE_DRIFT_POLICY": "restore"}, DriftPolicy.RESTORE),
        ({"PAYGRADE_DRIFT_POLICY": "report"}, DriftPolicy.REPORT),
    ],
)
def test_drift_policy_of_the_environment_is_what_the_variable_says(
    variables: dict[str, str], policy: DriftPolicy
) -> None:
    ports = wiring.build(settings.load({**BASE, **variables}))
    assert ports.environment.drift_policy is policy


@pytest.mark.parametrize("text", ["", "adopt", "Report"])
def test_drift_policy_that_there_is_not_is_refused_by_the_variables_name(text: str) -> None:
    with pytest.raises(SettingsError, match="PAYGRADE_DRIFT_POLICY"):
        settings.load({**BASE, "PAYGRADE_DRIFT_POLICY": text})


@pytest.mark.parametrize(
    ("variables", "policy"),
    [
        ({}, DuplicatePolicy.REFUND),
        ({"PAYGRADE_DUPLICATES": "refund"}, DuplicatePolicy.REFUND),
        ({"PAYGRADE_DUPLICATES": "report"}, DuplicatePolicy.REPORT),
    ],
)
def test_duplicates_of_the_environment_are_treated_as_the_variable_says(
    variables: dict[str, str], policy: DuplicatePolicy
) -> None:
    ports = wiring.build(settings.load({**BASE, **variables}))
    assert ports.environment.duplicates is policy


@pytest.mark.parametrize("text", ["", "cancel", "Refund"])
def test_duplicates_treated_as_nobody_can_are_refused_by_the_variables_name(text: str) -> None:
    with pytest.raises(SettingsError, match="PAYGRADE_DUPLICATES"):
        settings.load({**BASE, "PAYGRADE_DUPLICATES": text})
