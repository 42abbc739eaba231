import builtins
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from chalicelib.settings import SettingsError
from infra.cli import local_run
from infra.cli.errors import CliError
from infra.cli.local_run import is_valid
from infra.cli.seed import NotSyncedError
from infra.local.errors import LocalStackError
from infra.local.stack import Keys, StackOptions
from tests.unit.cli.conftest import FakeApi, Shell

KEYS = Keys("pg_sk_local_1", "pg_pk_local_2")


class FakeStack:
    """Starts in no time and runs until it is asked whether it is ready."""

    last: "FakeStack"
    fails: Exception | None = None

    def __init__(
        self,
        options: StackOptions,
        *,
        prepare: Callable[[Any], Keys],
        on_error: Callable[[str, Exception], None],
        on_part: Callable[[str], None],
    ) -> None:
        type(self).last = self
        self.options = options
        self._prepare = prepare
        self.on_error = on_error
        self._on_part = on_part
        self.api_url = f"http://127.0.0.1:{options.port}"
        self.keys = Keys()

    def start(self) -> None:
        print("noise of the app")
        logging.getLogger("infra.local.stack").error("trouble of the app")
        if self.fails is not None:
            raise self.fails
        self._on_part("AWS emulator")
        self.keys = self._prepare(self)

    def info(self) -> dict[str, str | None]:
        return {
            "api_url": self.api_url,
            "api_key": self.keys.api_key,
            "stripe_url": f"http://127.0.0.1:{self.options.stripe_port}",
        }


@pytest.fixture(autouse=True)
def seeded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    def run_in_foreground(stack: FakeStack, on_ready: Callable[[Any], None]) -> None:
        stack.start()
        on_ready(stack)

    told: list[str] = []
    monkeypatch.setattr(local_run, "LocalStack", FakeStack)
    monkeypatch.setattr(local_run, "run_in_foreground", run_in_foreground)
    monkeypatch.setattr(local_run, "ensure_keys", lambda *_, **__: (KEYS, bool(told)))
    monkeypatch.setattr(local_run, "seed", lambda *_: told.append("seeded"))
    monkeypatch.setattr(local_run, "wait_until_synced", lambda *_: told.append("synced"))
    monkeypatch.setattr(FakeStack, "fails", None)
    return told


def test_start_shows_where_everything_is(shell: Shell) -> None:
    result = shell("dev", "--port", "9000", "--stripe-port", "9010")
    assert result.exit_code == 0
    curl = 'curl -s http://127.0.0.1:9000/v1/plans/pro -H "Authorization: Bearer pg_sk_local_1"'
    assert curl in [line.strip() for line in result.stdout.splitlines()]
    for text in ("http://127.0.0.1:9000/docs", "http://127.0.0.1:9010", "paygrade.log", "Ctrl-C"):
        assert text in result.stdout
    assert [line.split()[:3] for line in result.stderr.splitlines()][:2] == [
        ["✓", "AWS", "emulator"],
        ["✓", "example", "catalog"],
    ]


def test_options_and_defaults_reach_the_stack(shell: Shell, tmp_path: Path) -> None:
    shell("dev")
    assert FakeStack.last.options == StackOptions(variables={"PAYGRADE_RECONCILE_MINUTES": "1"})
    shell(
        *("dev", "--port", "1", "--stripe-port", "2", "--fresh", "--schedule-every", "0.5"),
        *("--state-dir", str(tmp_path / "s")),
        PAYGRADE_RECONCILE_MINUTES="7",
    )
    assert FakeStack.last.options == StackOptions(
        state_dir=tmp_path / "s",
        port=1,
        stripe_port=2,
        fresh=True,
        schedule_seconds=0.5,
        variables={"PAYGRADE_RECONCILE_MINUTES": "7"},
    )


def test_catalog_is_seeded_once_in_the_life_of_a_folder(shell: Shell, seeded: list[str]) -> None:
    assert "Paygrade is running.\n" in shell("dev").stdout
    again = shell("dev").stdout
    assert "same API key, everything is still there" in again
    assert "/v1/plans/pro" in again
    assert seeded == ["seeded", "synced"]


def test_no_seed_leaves_the_catalog_alone(shell: Shell, seeded: list[str]) -> None:
    result = shell("dev", "--no-seed")
    assert seeded == []
    assert "/v1/plans " in result.stdout
    shell("dev")
    assert seeded == ["seeded", "synced"]


def test_catalog_that_does_not_reach_stripe_is_a_warning(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise NotSyncedError("Stripe has not got plans [pro].", code="sync_pending")

    monkeypatch.setattr(local_run, "wait_until_synced", fail)
    result = shell("dev")
    assert result.exit_code == 0
    assert "Warning: The example catalog is incomplete: Stripe has not got plans [pro]." in (
        result.stderr
    )


def test_seeding_that_failed_is_tried_again_at_the_next_start(
    shell: Shell, seeded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise CliError("no", code="x")

    with monkeypatch.context() as patch:
        patch.setattr(local_run, "seed", fail)
        shell("dev")
    shell("dev")
    assert seeded == ["seeded", "synced"]


def test_json_is_what_dev_json_holds(shell: Shell) -> None:
    result = shell("dev", "--json")
    assert json.loads(result.stdout) == FakeStack.last.info()


def test_noise_of_the_app_is_in_the_log(shell: Shell, tmp_path: Path) -> None:
    result = shell("dev")
    assert "of the app" not in result.output
    log = (tmp_path / ".paygrade" / "paygrade.log").read_text()
    assert "noise of the app" in log
    assert "ERROR infra.local.stack: trouble of the app" in log
    assert (tmp_path / ".paygrade").stat().st_mode & 0o777 == 0o700


def test_long_log_begins_anew(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / ".paygrade"
    folder.mkdir()
    with (folder / "paygrade.log").open("wb") as log:
        log.truncate(20 * 1024 * 1024 + 1)
    shell("dev")
    assert (folder / "paygrade.log").stat().st_size < 1000
    assert (folder / "paygrade.log.1").stat().st_size > 1000


@pytest.mark.parametrize(
    "error", [LocalStackError("Port 1 is in use."), SettingsError("X is missing.")]
)
def test_what_keeps_it_from_starting_is_one_line_and_two(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(FakeStack, "fails", error)
    result = shell("dev")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: {error}\n"


def test_what_keeps_it_from_starting_is_a_problem_with_json(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeStack, "fails", LocalStackError("Port 1 is in use."))
    result = shell("dev", "--json")
    assert (result.exit_code, result.stderr) == (2, "")
    assert json.loads(result.stdout)["detail"] == "Port 1 is in use."


def test_surprise_is_one_line_and_its_traceback_in_the_log(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(FakeStack, "fails", KeyError("surprise"))
    result = shell("dev")
    assert result.exit_code == 1
    [line] = result.stderr.splitlines()
    assert "KeyError('surprise')" in line
    assert "paygrade.log" in line
    assert "Traceback" in (tmp_path / ".paygrade" / "paygrade.log").read_text()


def test_folder_that_is_none_is_refused(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = shell("dev", "--state-dir", "file")
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: Cannot keep anything in file (File exists):"
        " choose another folder with --state-dir.\n"
    )


def test_missing_package_is_named(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def fail(name: str, *args: Any, **more: Any) -> Any:
        if name == "infra.cli.local_run":
            raise ModuleNotFoundError("No module named 'chalice'", name="chalice")
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", fail)
    monkeypatch.delitem(sys.modules, "infra.cli.local_run")
    result = shell("dev")
    assert result.exit_code == 2
    assert "'chalice' is not installed here: start with `make dev`" in result.stderr


def test_handler_that_failed_is_told_and_logged(shell: Shell, tmp_path: Path) -> None:
    started = FakeStack.start

    def start(stack: FakeStack) -> None:
        started(stack)
        stack.on_error("reconcile", ValueError("[secret]"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeStack, "start", start)
        result = shell("dev")
    assert "Warning: reconcile failed (ValueError): see .paygrade/paygrade.log" in result.stderr
    assert "ValueError: [secret]" in (tmp_path / ".paygrade" / "paygrade.log").read_text()


@pytest.mark.parametrize(("status", "valid"), [(200, True), (403, True), (401, False)])
def test_key_is_valid_when_the_api_knows_it(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, status: int, *, valid: bool
) -> None:
    monkeypatch.setattr(local_run, "new_client", api.client)
    api.on("GET /v1/environment", {"status": status}, status=status)
    assert is_valid("https://x", "k") is valid


def test_key_of_a_broken_api_is_neither_valid_nor_not(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_run, "new_client", api.client)
    api.answers["GET /v1/environment"] = [httpx.Response(500, json={"status": 500})]
    with pytest.raises(CliError):
        is_valid("https://x", "k")
