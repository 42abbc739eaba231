import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.unit.cli.conftest import API_URL, FakeApi, Shell

HEAVY = ("app", "boto3", "botocore", "chalice", "chalicelib", "httpx", "moto", "pynamodb", "stripe")


def test_version_is_the_packages(shell: Shell) -> None:
    assert shell("--version").stdout == version("paygrade") + "\n"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("dev",),
        ("keys",),
        ("keys", "create"),
        ("keys", "bootstrap"),
        ("reconcile",),
        ("events",),
    ],
)
def test_help_is_there(shell: Shell, words: tuple[str, ...]) -> None:
    result = shell(*words, "--help")
    assert result.exit_code == 0
    assert "Usage: " in result.stdout


def test_start_imports_nothing_heavy() -> None:
    code = "import sys; import infra.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(HEAVY) & set(done.stdout.split())


def test_no_api_is_one_line_on_stderr(shell: Shell) -> None:
    result = shell("keys", "list")
    assert (result.exit_code, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1
    assert "No local stack is running in .paygrade" in result.stderr


def test_no_api_with_json_is_a_problem(shell: Shell) -> None:
    result = shell("events", "list", "--json")
    assert (result.exit_code, result.stderr) == (1, "")
    assert json.loads(result.stdout)["code"] == "not_connected"


@pytest.mark.parametrize(
    "line",
    [
        ("--api-url", API_URL, "--api-key", "own", "keys", "list"),
        ("keys", "list", "--api-url", API_URL, "--api-key", "own"),
        ("--api-url", API_URL, "keys", "list", "--api-key", "own"),
    ],
)
def test_options_stand_anywhere_and_go_before_the_environment(
    api: FakeApi, shell: Shell, line: tuple[str, ...]
) -> None:
    api.on("GET /v1/api_keys?limit=100", {"data": [], "next_cursor": None})
    result = shell(*line, PAYGRADE_API_URL="https://env.test", PAYGRADE_API_KEY="env")
    assert result.exit_code == 0
    assert str(api.requests[0].url).startswith(API_URL)
    assert api.requests[0].headers["Authorization"] == "Bearer own"


def test_state_dir_names_the_local_stack(api: FakeApi, shell: Shell, tmp_path: Path) -> None:
    api.on("GET /v1/api_keys?limit=100", {"data": [], "next_cursor": None})
    info = {"api_url": "http://127.0.0.1:9", "api_key": "local"}
    (tmp_path / "dev.json").write_text(json.dumps(info))
    assert shell("keys", "list", "--state-dir", str(tmp_path)).exit_code == 0
    assert api.requests[0].headers["Authorization"] == "Bearer local"
