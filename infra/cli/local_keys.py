"""The local stack's API keys: the same at every start, for as long as its data is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from infra.local.stack import Keys
from infra.local.state_dir import KEYS_FILE, write_private

Kind = str
KINDS: Final = ("secret", "publishable")


def ensure_keys(
    state_dir: Path, *, is_valid: Callable[[str], bool], create: Callable[[Kind], str]
) -> tuple[Keys, bool]:
    """Keys that the API takes, kept in the folder for its user only, and whether they are those of before.

    A key that was revoked, or whose data is gone, is replaced.
    """
    target = state_dir / KEYS_FILE
    kept = _read(target)
    secret = kept.get("api_key")
    publishable = kept.get("publishable_key")
    keys = Keys(
        api_key=secret if secret and is_valid(secret) else create("secret"),
        publishable_key=publishable
        if publishable and is_valid(publishable)
        else create("publishable"),
    )
    same = (keys.api_key, keys.publishable_key) == (secret, publishable)
    if not same:
        write_private(target, {"api_key": keys.api_key, "publishable_key": keys.publishable_key})
    return keys, keys.api_key == secret


def _read(target: Path) -> dict[str, str]:
    try:
        content = json.loads(target.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: value for name, value in content.items() if isinstance(value, str)}
