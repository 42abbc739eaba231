"""`paygrade audit verify` finds what was tampered with, from what the API shows alone."""

import json
from dataclasses import replace
from typing import Any

import pytest

import app
from chalicelib.domain.audit_log import AuditEntry
from infra.cli import session
from tests.unit.api.world import World, served
from tests.unit.cli.conftest import Shell
from tests.unit.cli.environments import new_client


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(app.app)
    monkeypatch.setattr(session, "new_client", new_client(made))
    with served(made):
        for number in range(3):
            made.send("POST", "/v1/customers", {"id": f"c{number}"})
        for number in range(25):
            made.send("PATCH", "/v1/customers/c1", {"metadata": {"n": str(number)}})
    return made


def verify(shell: Shell, *more: str) -> Any:
    return shell(
        "audit",
        "verify",
        *more,
        PAYGRADE_API_URL="https://test.test",
        PAYGRADE_API_KEY="pg_sk_test",
    )


def test_log_as_it_was_written_is_whole(world: World, shell: Shell) -> None:
    result = verify(shell)
    assert result.exit_code == 0
    # Three customers, and the key that the requests are made with.
    assert result.stdout == "4 chains with 29 entries: none broken.\n"


def test_one_entity_is_verified_alone(world: World, shell: Shell) -> None:
    result = verify(shell, "--entity", "customer:c1", "--json")
    [chain] = json.loads(result.stdout)["data"]
    newest = world.store.list_within(AuditEntry, "customer:c1", limit=1, newest_first=True)
    assert chain == {
        "entity": "customer:c1",
        "entries": 26,
        "last_hash": newest.items[0].hash,
        "broken": [],
    }


def test_changed_entry_is_named(world: World, shell: Shell) -> None:
    key = (AuditEntry, ("customer:c1", f"{7:012d}"))
    entry = world.store.records[key]
    assert isinstance(entry, AuditEntry)
    world.store.records[key] = replace(entry, actor="nobody")
    result = verify(shell)
    assert result.exit_code == 1
    assert result.stdout == (
        "customer:c1: entry 7 is not what was written.\n4 chains with 29 entries: 1 broken.\n"
    )


def test_removed_entry_is_named(world: World, shell: Shell) -> None:
    del world.store.records[AuditEntry, ("customer:c1", f"{7:012d}")]
    result = verify(shell)
    assert result.exit_code == 1
    assert "customer:c1: entry 7 is missing" in result.stdout
