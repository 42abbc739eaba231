import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynamodb.exceptions import QueryError

import app
from chalicelib import wiring
from chalicelib.domain.api_keys import Scope
from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.settings import SettingsError
from tests.unit.api.world import World, served
from tests.unit.cli.conftest import Shell


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(app.app)
    made.store.records.clear()
    monkeypatch.setattr(wiring, "ports", lambda: made.ports)
    with served(made):
        yield made


def test_first_key_opens_everything(world: World, shell: Shell) -> None:
    result = shell("keys", "bootstrap")
    assert result.exit_code == 0
    world.token = result.stdout.strip()
    [key] = world.send("GET", "/v1/api_keys").json["data"]
    assert key["scopes"] == list(Scope)
    assert key["name"] == "first key"


def test_first_key_with_json_is_an_object(world: World, shell: Shell) -> None:
    made = json.loads(shell("keys", "bootstrap", "--name", "ops", "--json").stdout)
    assert made["name"] == "ops"
    assert made["secret"].startswith("pg_sk_test_")


def test_environment_with_keys_is_left_alone_unless_told(world: World, shell: Shell) -> None:
    shell("keys", "bootstrap")
    refused = shell("keys", "bootstrap")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "--another" in refused.stderr
    assert shell("keys", "bootstrap", "--another").exit_code == 0


def test_revoked_keys_do_not_count(world: World, shell: Shell) -> None:
    made = json.loads(shell("keys", "bootstrap", "--json").stdout)
    world.token = made["secret"]
    world.send("DELETE", f"/v1/api_keys/{made['id']}")
    assert shell("keys", "bootstrap").exit_code == 0


def test_wrong_settings_are_named(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise SettingsError("PAYGRADE_PUBLIC_URL is missing")

    monkeypatch.setattr(wiring, "ports", fail)
    result = shell("keys", "bootstrap")
    assert result.exit_code == 1
    assert result.stderr == "Error: PAYGRADE_PUBLIC_URL is missing\n"


def test_region_of_the_profile_is_the_one_as_for_the_other_commands(
    world: World, shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-central-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_REGION", "to be put back")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    assert shell("keys", "bootstrap").exit_code == 0
    assert os.environ["AWS_REGION"] == "eu-central-1"


def test_unreachable_database_is_said_with_its_reason(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise StoreUnavailableError("No database.") from OSError("no credentials")

    monkeypatch.setattr(wiring, "ports", fail)
    assert shell("keys", "bootstrap").stderr == "Error: No database. no credentials\n"


def test_tables_that_are_not_there_are_named_by_their_environment(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise QueryError("no such table")

    monkeypatch.setattr(wiring, "ports", fail)
    result = shell("keys", "bootstrap", PAYGRADE_STAGE="nowhere")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: Could not use the tables of the environment 'nowhere': no such table\n"
    )
