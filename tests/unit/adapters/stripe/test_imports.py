"""Intake stays cheap: reading events loads neither the SDK nor what comes with it."""

import subprocess
import sys
from pathlib import Path

import pytest
import stripe

from chalicelib.adapters.billing.stripe.version import API_VERSION
from tests.unit.adapters.stripe.scripted import script

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("module", ["signature", "events", "version"])
def test_module_imported_alone_leaves_the_sdk_unloaded(module: str) -> None:
    code = (
        f"import sys, chalicelib.adapters.billing.stripe.{module}\n"
        "sys.exit(bool({'stripe', 'requests', 'pydantic', 'boto3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False)
    assert done.returncode == 0


def test_version_is_the_one_the_sdk_sends() -> None:
    assert stripe.api_version == API_VERSION


def test_provider_built_switches_telemetry_off() -> None:
    script()
    assert stripe.enable_telemetry is False
