import json
from pathlib import Path

import pytest

from infra.cli.local_keys import ensure_keys
from infra.local.stack import Keys


class Maker:
    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, kind: str) -> str:
        self.made.append(kind)
        return f"{kind}-{len(self.made)}"


def test_first_start_makes_both_keys_and_keeps_them_private(tmp_path: Path) -> None:
    keys, same = ensure_keys(tmp_path, is_valid=lambda _: False, create=Maker())
    assert (keys, same) == (Keys("secret-1", "publishable-2"), False)
    file = tmp_path / "keys.json"
    assert json.loads(file.read_text()) == {
        "api_key": "secret-1",
        "publishable_key": "publishable-2",
    }
    assert file.stat().st_mode & 0o777 == 0o600


def test_restart_shows_the_same_keys(tmp_path: Path) -> None:
    first, _ = ensure_keys(tmp_path, is_valid=lambda _: True, create=Maker())
    again = Maker()
    assert ensure_keys(tmp_path, is_valid=lambda _: True, create=again) == (first, True)
    assert again.made == []


def test_revoked_key_is_replaced_and_the_other_stays(tmp_path: Path) -> None:
    ensure_keys(tmp_path, is_valid=lambda _: True, create=Maker())
    keys, same = ensure_keys(tmp_path, is_valid="publishable-2".__eq__, create=lambda _: "new")
    assert (keys, same) == (Keys("new", "publishable-2"), False)
    assert json.loads((tmp_path / "keys.json").read_text())["api_key"] == "new"


@pytest.mark.parametrize("content", ["", "[1]", '{"api_key": 7}'])
def test_unreadable_file_is_written_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "keys.json").write_text(content)
    keys, same = ensure_keys(tmp_path, is_valid=lambda _: True, create=Maker())
    assert (keys, same) == (Keys("secret-1", "publishable-2"), False)
