import json
from typing import Any

import pytest

from infra.cli import migrations
from tests.unit.cli.conftest import FakeApi, Shell

FAILURE = {
    "customer_id": "bob",
    "subscription_id": "subs_2",
    "code": "no_such_price",
    "detail": "No price.",
}


def run(status: str, *failures: Any, error: str | None = None) -> dict[str, Any]:
    return {
        "object": "migration",
        "id": "mig_1",
        "package_type": "plan",
        "package_id": "pro",
        "from_version": 1,
        "to_version": 2,
        "effective": "end_of_period",
        "status": status,
        "counts": {"moved": 3, "scheduled": 2, "skipped": 1, "failed": len(failures)},
        "failures": list(failures),
        "error": error,
        "retry_at": "2026-01-01T00:01:00Z" if error else None,
        "started_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:01Z",
        "finished_at": None,
    }


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "POLL_SECONDS", 0)


def test_list_shows_each_with_its_counts(api: FakeApi, connected: Shell) -> None:
    page = {"object": "list", "data": [run("running")], "has_more": False, "next_cursor": None}
    api.on("GET /v1/migrations?limit=20", page)
    result = connected("migrations", "list")
    assert result.exit_code == 0
    [line] = [line for line in result.stdout.splitlines() if "mig_1" in line]
    assert line.split() == [
        *("mig_1", "plan:pro", "2", "running", "3", "2", "1", "0", "2026-01-01T00:00:00Z")
    ]


def test_show_tells_what_a_running_one_waits_for(api: FakeApi, connected: Shell) -> None:
    api.on("GET /v1/migrations/mig_1", run("running", error="Stripe is away."))
    result = connected("migrations", "show", "mig_1")
    assert result.exit_code == 0
    assert "Waits until 2026-01-01T00:01:00Z: Stripe is away." in result.stdout


def test_watch_waits_for_the_end(api: FakeApi, connected: Shell) -> None:
    api.on("GET /v1/migrations/mig_1", run("running"), run("succeeded"))
    result = connected("migrations", "watch", "mig_1", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["status"] == "succeeded"


def test_failed_one_ends_with_one_and_names_who_stays(api: FakeApi, connected: Shell) -> None:
    api.on("GET /v1/migrations/mig_1", run("failed", FAILURE))
    result = connected("migrations", "watch", "mig_1")
    assert result.exit_code == 1
    assert "no_such_price" in result.stdout


def test_watch_gives_up_after_its_time(
    api: FakeApi, connected: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.on("GET /v1/migrations/mig_1", run("running"))
    moments = iter(range(0, 10_000, 2))
    monkeypatch.setattr("infra.cli.migrations.time.monotonic", lambda: float(next(moments)))
    result = connected("migrations", "watch", "mig_1", "--timeout", "3")
    assert result.exit_code == 1
