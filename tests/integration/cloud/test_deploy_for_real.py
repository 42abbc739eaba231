"""`paygrade deploy` with nothing left out: the real package, functions that run, secrets from SSM, the smoke test."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.deploy.deployment import build_package
from infra.deploy.smoke import smoke_test
from infra.local.environment import aws_variables, variables
from infra.local.ports import free_port
from infra.local.stripe_stand_in import StandIn
from infra.local.stripe_stand_in.server import StandInServer
from tests.integration.cloud.conftest import SERVICES
from tests.integration.cloud.stage import new_stage
from tests.integration.deploy.conftest import LAUNCHER, EmulatorWithFunctions


@pytest.fixture
def deployable(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "emulator"
    folder.mkdir()
    running = EmulatorWithFunctions(folder, free_port(), services=SERVICES, launcher=LAUNCHER)
    running.start()
    with variables(aws_variables(running.endpoint_url)):
        yield running.endpoint_url
    running.stop()


def test_stage_is_alive_after_one_command(deployable: str, tmp_path: Path) -> None:
    server = StandInServer(StandIn())
    server.start()
    stage = new_stage(tmp_path, server.url, AWS_ENDPOINT_URL=deployable)
    stage.keep_key()

    def at_the_emulator(url: str, name: str, **options: Any) -> list[str]:
        found = re.fullmatch(r"https://(\w+)\.execute-api\.[^/]+/(\w+)", url)
        assert found is not None
        there = f"{deployable}/restapis/{found[1]}/{found[2]}/_user_request_"
        return smoke_test(there, name, **options)

    stage.tools = replace(stage.tools, build=build_package, smoke=at_the_emulator)
    try:
        stage.deploy(smoke=True)
        told = "\n".join(stage.told)
        assert "an unsigned webhook delivery is refused" in told
        assert "Stripe's signature is known" in told
    finally:
        server.stop()
        server.stand_in.close()
