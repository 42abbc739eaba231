"""Whoever is told to come back later is told when: every 429 and 503 says so, and so does its description."""

import inspect
from typing import Any

import pytest

from chalicelib.api.problems import REQUEST_ERRORS, TABLE, problem_of
from chalicelib.domain.errors import BillingKeyRejectedError, DomainError
from tests.integration.api.contract import document, operations

LATER = (429, 503)
POSTPONING = [error for error, (status, _) in TABLE.items() if status in LATER]


def made(error: type[DomainError]) -> DomainError:
    """One as it comes about: with what it demands, and no more."""
    demanded: dict[str, Any] = {
        name: 7
        for name, parameter in inspect.signature(error).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    }
    return error("Come back later.", **demanded)


@pytest.mark.parametrize("error", POSTPONING, ids=lambda error: error.code)
def test_every_error_that_means_later_says_when(error: type[DomainError]) -> None:
    problem, headers = problem_of(made(error), "req_1")
    assert problem.status in LATER
    assert headers["Content-Type"] == "application/problem+json"
    assert 1 <= int(headers["Retry-After"]) <= 60


def test_no_other_error_means_later() -> None:
    assert len(POSTPONING) == 6
    assert not [error for error in REQUEST_ERRORS if error.status in LATER]


def test_description_says_when_wherever_it_says_later() -> None:
    for status in LATER:
        headers = document()["components"]["responses"][f"Problem{status}"]["headers"]
        assert headers["Retry-After"]["schema"]["minimum"] == 1


def test_every_operation_with_a_key_is_described_as_limited() -> None:
    for described in operations():
        responses = described.operation["responses"]
        assert "503" in responses, described.name
        if described.scope is not None:
            assert "429" in responses, described.name


def test_rejected_key_is_told_as_a_provider_that_is_away() -> None:
    """Which key the operator has is nothing that callers could mend."""
    rejected = BillingKeyRejectedError("Stripe does not take this environment's key.")
    problem, headers = problem_of(rejected, "req_1")
    assert (problem.status, problem.code) == (503, "billing_provider_unavailable")
    assert "key" in problem.detail
    assert headers["Retry-After"] == "30"
