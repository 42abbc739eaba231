"""The true Stripe CLI, a client nobody here wrote, against the stand-in."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

VERSION = "1.52.0"
CACHE = Path(__file__).parents[3] / ".cache" / "stripe-cli"
INSTALL_SECONDS = 180

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def cli(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The program: the one named by STRIPE_CLI, the one installed, or one from npm, kept."""
    for known in (os.environ.get("STRIPE_CLI"), shutil.which("stripe")):
        if known:
            return known
    kept = CACHE / VERSION / "node_modules" / ".bin" / "stripe"
    if kept.exists():
        return str(kept)
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("needs node and npm, or STRIPE_CLI")
    fresh = tmp_path_factory.mktemp("stripe-cli") / VERSION
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(fresh)]
    try:
        subprocess.run(
            [*command, f"@stripe/cli@{VERSION}"],
            check=True,
            capture_output=True,
            timeout=INSTALL_SECONDS,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as failure:
        pytest.skip(f"the Stripe CLI could not be installed: {failure}")
    if not kept.exists():
        shutil.copytree(fresh, CACHE / VERSION, symlinks=True, dirs_exist_ok=True)
    return str(kept)


@pytest.mark.parametrize(
    "event",
    [
        "product.created",
        "price.created",
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.deleted",
        "checkout.session.completed",
        "invoice.paid",
        "invoice.payment_failed",
    ],
)
def test_trigger_runs_and_its_event_reaches_the_shop(
    cli: str, server: Any, shop: Any, tmp_path: Path, event: str
) -> None:
    finished = run(cli, tmp_path, server.url, "trigger", event)
    assert "Trigger succeeded" in finished.stdout + finished.stderr
    shop.wait_for(event)


def test_resend_delivers_the_event_again(
    cli: str, server: Any, shop: Any, api: Any, tmp_path: Path
) -> None:
    api.products.create({"name": "A"})
    event = shop.wait_for("product.created")
    endpoint = api.webhook_endpoints.list().data[0].id
    shop.events.clear()
    run(cli, tmp_path, server.url, "events", "resend", event["id"], "--webhook-endpoint", endpoint)
    assert shop.wait_for("product.created")["id"] == event["id"]


def run(cli: str, home: Path, url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {
        **os.environ,
        "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
        "XDG_CONFIG_HOME": str(home),
        "HOME": str(home),
    }
    key = "sk_test_" + "4" * 24
    finished = subprocess.run(
        [cli, *arguments, "--api-key", key, "--api-base", url],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished
