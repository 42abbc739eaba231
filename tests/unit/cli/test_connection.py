import json
from pathlib import Path

import pytest

from infra.cli import connection
from infra.cli.connection import Wanted, resolve
from infra.cli.errors import CliError
from infra.local import state_dir


def running(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    info = {"api_url": "http://127.0.0.1:8000", "api_key": "local"}
    (folder / "dev.json").write_text(json.dumps(info))


def test_named_api_is_used_with_its_key(tmp_path: Path) -> None:
    running(tmp_path)
    assert resolve(Wanted("https://a", "k", tmp_path)) == ("https://a", "k")


def test_running_local_stack_is_used_when_nothing_is_named(tmp_path: Path) -> None:
    running(tmp_path)
    assert resolve(Wanted(state_dir=tmp_path)) == ("http://127.0.0.1:8000", "local")


def test_key_alone_is_one_of_the_local_stack(tmp_path: Path) -> None:
    running(tmp_path)
    assert resolve(Wanted(api_key="k", state_dir=tmp_path)) == ("http://127.0.0.1:8000", "k")


def test_local_key_is_never_sent_to_another_api(tmp_path: Path) -> None:
    running(tmp_path)
    with pytest.raises(CliError, match="no key for https://a"):
        resolve(Wanted(api_url="https://a", state_dir=tmp_path))


@pytest.mark.parametrize("content", [None, "", "[]", '{"api_url": "http://x"}'])
def test_nothing_to_talk_to_is_said_with_what_to_do(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "dev.json").write_text(content)
    with pytest.raises(CliError, match=r"paygrade dev.*--api-url") as caught:
        resolve(Wanted(state_dir=tmp_path))
    assert caught.value.code == "not_connected"


def test_command_goes_before_the_root_one_by_one() -> None:
    general = Wanted("https://root", "root", Path("root"), as_json=True)
    assert Wanted(api_url="https://own").over(general) == Wanted(
        "https://own", "root", Path("root"), as_json=True
    )


def test_info_file_is_the_one_the_stack_writes() -> None:
    assert connection.INFO_FILE == state_dir.INFO_FILE
