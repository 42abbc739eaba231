"""Unit tests touch no network: opening a socket fails the test."""

import os

import pytest
from hypothesis import HealthCheck, settings

# Enough to find a broken rule on each commit; `thorough` is for a night: HYPOTHESIS_PROFILE=thorough.
settings.register_profile(
    "quick", max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(autouse=True)
def _no_sockets(socket_disabled: None) -> None:
    """Uses pytest-socket's guard for the length of each unit test."""
