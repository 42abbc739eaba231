"""The emulated AWS for contract tests: one emulator per test process, one stage per test."""

import uuid
from collections.abc import Iterator

import pytest

from infra.local.emulator import Emulator
from infra.local.ports import free_port
from tests.integration.conftest import Aws, connect


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    running = Emulator(tmp_path_factory.mktemp("emulator"), free_port())
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def aws(emulator: Emulator) -> Aws:
    return connect(emulator.endpoint_url)


@pytest.fixture
def stage() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What botocore looks for; neither engine looks at them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "local")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
