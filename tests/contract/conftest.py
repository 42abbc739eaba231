"""The emulated AWS for contract tests: one emulator per test process, one stage per test."""

import pytest

from tests.integration.conftest import aws, emulator, stage

__all__ = ["aws", "emulator", "stage"]  # the same fixtures, for the same emulator


@pytest.fixture
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What botocore looks for; neither engine looks at them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
