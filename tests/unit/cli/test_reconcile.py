import json
from collections.abc import Sequence
from typing import Any

import pytest

from infra.cli import reconcile
from tests.unit.cli.conftest import FakeApi, Shell

DRIFT = {
    "kind": "price_changed",
    "entity": "plan:pro",
    "ours": {"amount": 2900, "tags": ["a", "b"]},
    "theirs": None,
    "action": "repaired",
}


def run(
    status: str,
    *drifts: Any,
    standing: Sequence[Any] = (),
    omitted: int = 0,
    error: str | None = None,
) -> dict[str, Any]:
    return {
        "object": "reconciliation",
        "id": "rec_1",
        "status": status,
        "started_at": "2026-01-01T00:00:00Z",
        "finished_at": None if status == "running" else "2026-01-01T00:00:05Z",
        "counts": {"packages": 4, "customers": 2},
        "drifts": list(drifts),
        "standing": list(standing),
        "drifts_omitted": omitted,
        "error": error,
    }


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconcile, "POLL_SECONDS", 0)


def test_run_without_drift_is_waited_for_and_ends_with_zero(api: FakeApi, connected: Shell) -> None:
    api.on("POST /v1/reconciliations", run("running"), status=202)
    api.on("GET /v1/reconciliations/rec_1", run("running"), run("succeeded"))
    result = connected("reconcile")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "rec_1 succeeded: 2026-01-01T00:00:00Z to 2026-01-01T00:00:05Z",
        "  customers: 2",
        "  packages: 4",
        "No drift.",
    ]


def test_drift_is_shown_and_ends_with_two(api: FakeApi, connected: Shell) -> None:
    api.on("POST /v1/reconciliations", run("succeeded", DRIFT, omitted=7))
    result = connected("reconcile")
    assert result.exit_code == 2
    [line] = [line for line in result.stdout.splitlines() if "price_changed" in line]
    assert line.split() == [
        *("price_changed", "plan:pro", "amount=2900,", "tags=a", "b", "-", "repaired")
    ]
    assert result.stdout.endswith("... and 7 more.\n")


def test_drift_reported_before_is_shown_apart_and_ends_with_two(
    api: FakeApi, connected: Shell
) -> None:
    api.on("POST /v1/reconciliations", run("succeeded", standing=[DRIFT]))
    result = connected("reconcile")
    assert result.exit_code == 2
    lines = result.stdout.splitlines()
    assert lines.index("No new drift.") < lines.index("Reported before, and still so:")
    assert any("price_changed" in line for line in lines)


def test_failed_run_ends_with_one_and_its_reason(api: FakeApi, connected: Shell) -> None:
    api.on("POST /v1/reconciliations", run("failed", DRIFT, error="Stripe is away."))
    result = connected("reconcile")
    assert result.exit_code == 1
    assert "Error: Stripe is away." in result.stdout


def test_json_is_the_run_alone_with_the_same_exit_code(api: FakeApi, connected: Shell) -> None:
    api.on("POST /v1/reconciliations", run("succeeded", DRIFT))
    result = connected("reconcile", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout) == run("succeeded", DRIFT)


def test_no_wait_asks_once(api: FakeApi, connected: Shell) -> None:
    api.on("POST /v1/reconciliations", run("running"), status=202)
    result = connected("reconcile", "--no-wait")
    assert (result.exit_code, result.stdout) == (0, "rec_1 is running.\n")
    assert len(api.requests) == 1


def test_run_that_takes_too_long_is_left_alone(
    api: FakeApi, connected: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(0, 1000, 10))
    monkeypatch.setattr("infra.cli.reconcile.time.monotonic", lambda: next(now))
    api.on("POST /v1/reconciliations", run("running"), status=202)
    api.on("GET /v1/reconciliations/rec_1", run("running"))
    result = connected("reconcile", "--timeout", "25")
    assert result.exit_code == 1
    assert result.stderr == "Error: rec_1 is still running after 25 s; it goes on without us.\n"


def test_policy_is_asked_for_by_name(api: FakeApi, connected: Shell) -> None:
    api.on("POST /v1/reconciliations", {**run("succeeded"), "policy": "report"}, status=202)
    assert connected("reconcile", "--policy", "report").exit_code == 0
    assert api.sent(0) == {"policy": "report"}


def test_policy_other_than_that_of_the_run_under_way_ends_with_one(
    api: FakeApi, connected: Shell
) -> None:
    api.on("POST /v1/reconciliations", {**run("running"), "policy": "restore"}, status=202)
    result = connected("reconcile", "--policy", "report")
    assert result.exit_code == 1
    assert "rec_1 was under way already, with the policy 'restore'" in result.stderr


def test_policy_that_there_is_not_is_refused(api: FakeApi, connected: Shell) -> None:
    assert connected("reconcile", "--policy", "adopt").exit_code != 0
    assert api.requests == []
