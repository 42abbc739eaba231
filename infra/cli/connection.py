"""Which API a command talks to: what the user names, or else the local stack that is running."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.cli.errors import CliError

DEFAULT_STATE_DIR: Final = Path(".paygrade")
INFO_FILE: Final = (
    "dev.json"  # as infra.local.state_dir has it, whose imports would cost each start
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user said; None where nothing."""

    api_url: str | None = None
    api_key: str | None = None
    state_dir: Path | None = None
    as_json: bool = False

    def over(self, general: "Wanted") -> "Wanted":
        """What was said for this command goes before what was said for all of them."""
        return Wanted(
            api_url=self.api_url or general.api_url,
            api_key=self.api_key or general.api_key,
            state_dir=self.state_dir or general.state_dir,
            as_json=self.as_json or general.as_json,
        )


def resolve(wanted: Wanted) -> tuple[str, str]:
    """The URL and the key to use.

    Raises:
        CliError: Nobody says which.
    """
    if wanted.api_url and not wanted.api_key:
        # Never the local stack's key: it is no business of another API.
        raise _not_connected(f"There is no key for {wanted.api_url}.")
    state_dir = wanted.state_dir or DEFAULT_STATE_DIR
    local = {} if wanted.api_url else _local_stack(state_dir)
    api_url = wanted.api_url or local.get("api_url")
    api_key = wanted.api_key or local.get("api_key")
    if not api_url or not api_key:
        raise _not_connected(f"No local stack is running in {state_dir}.")
    return api_url, api_key


def _local_stack(state_dir: Path) -> dict[str, Any]:
    try:
        content = json.loads((state_dir / INFO_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _not_connected(reason: str) -> CliError:
    return CliError(
        f"{reason} Start it with `paygrade dev`, or name an API with --api-url and --api-key"
        " (PAYGRADE_API_URL, PAYGRADE_API_KEY).",
        code="not_connected",
        title="No API to talk to",
    )
