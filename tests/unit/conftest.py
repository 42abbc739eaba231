"""Unit tests touch no network: opening a socket fails the test."""

import pytest


@pytest.fixture(autouse=True)
def _no_sockets(socket_disabled: None) -> None:
    """Uses pytest-socket's guard for the length of each unit test."""
