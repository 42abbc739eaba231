import json

from tests.unit.cli.conftest import FakeApi, Shell

EVENT = {
    "object": "billing_event",
    "id": "evt_1",
    "type": "invoice.paid",
    "status": "failed",
    "reason": "[red]unreadable",
    "customer_id": "acme",
    "attempts": 3,
    "received_at": "2026-01-01T00:00:00Z",
}


def test_list_asks_for_the_status_and_shows_values_as_they_are(
    api: FakeApi, connected: Shell
) -> None:
    api.on("GET /v1/billing_events?limit=2&status=failed", {"data": [EVENT], "next_cursor": None})
    result = connected("events", "list", "--status", "failed", "--limit", "2")
    [line] = [line for line in result.stdout.splitlines() if "evt_1" in line]
    assert line.split() == [
        *("evt_1", "invoice.paid", "failed", "[red]unreadable", "acme", "3", "2026-01-01T00:00:00Z")
    ]


def test_list_of_nothing_names_the_status(api: FakeApi, connected: Shell) -> None:
    api.on("GET /v1/billing_events?limit=20&status=processed", {"data": [], "next_cursor": None})
    assert connected("events", "list").stdout == "There are no processed events.\n"


def test_replay_says_what_became_of_the_event(api: FakeApi, connected: Shell) -> None:
    api.on("POST /v1/billing_events/evt_1/replay", EVENT)
    assert connected("events", "replay", "evt_1").stdout == ("evt_1 is failed ([red]unreadable).\n")


def test_replay_with_json_prints_the_event(api: FakeApi, connected: Shell) -> None:
    api.on("POST /v1/billing_events/evt_1/replay", {**EVENT, "reason": None})
    assert json.loads(connected("events", "replay", "evt_1", "--json").stdout)["id"] == "evt_1"
