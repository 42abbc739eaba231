"""What `paygrade dev` says when all is up."""

from collections.abc import Mapping
from pathlib import Path

NEW = "Paygrade is running."
AGAIN = "Paygrade is running again: same API key, everything is still there."


def ready_text(
    info: Mapping[str, str | None], *, log_path: Path, seeded: bool, restarted: bool
) -> str:
    """Where everything is, a request to begin with, and how it ends; each line fit to be pasted."""
    api_url, api_key = info["api_url"], info["api_key"]
    first = "/v1/plans/pro" if seeded else "/v1/plans"
    return f"""
{AGAIN if restarted else NEW}

  API        {api_url}
  Reference  {api_url}/docs
  Stripe     {info["stripe_url"]}
  API key    {api_key}
  Log        {log_path}

Look at {"a plan of the example catalog" if seeded else "the catalog"}:

  curl -s {api_url}{first} -H "Authorization: Bearer {api_key}"

Ctrl-C stops it."""
