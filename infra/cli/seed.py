"""The example catalog, put through the API as a user would; what the user made of it is left alone."""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.cli.errors import ApiError, CliError
from infra.cli.paths import path

if TYPE_CHECKING:
    from infra.cli.client import ApiClient

CATALOG_FILE: Final = Path(__file__).with_name("example_catalog.yaml")
KINDS: Final = ("features", "products", "addons", "plans")
PUBLISHED_KINDS: Final = ("addons", "plans")
SYNC_TIMEOUT_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.2

Catalog = Mapping[str, list[dict[str, Any]]]
Tell = Callable[[str], None]


class NotSyncedError(CliError):
    """The catalog is in Paygrade, but not, or not in time, at the billing provider."""


def example_catalog() -> Catalog:
    """The example, by kind."""
    import yaml  # noqa: PLC0415

    content: Catalog = yaml.safe_load(CATALOG_FILE.read_text())
    return content


def seed(api: "ApiClient", catalog: Catalog, tell: Tell = lambda _: None) -> None:
    """The catalog is there, its plans and add-ons published.

    Run again after it was cut short, it goes on where it ended. An id that is taken by something
    else is the user's: it is neither changed nor published.

    Raises:
        CliError: The API refused.
    """
    for kind in KINDS:
        for body in catalog[kind]:
            if _create(api, kind, body):
                tell(f"{kind} {body['id']}")


def wait_until_synced(
    api: "ApiClient",
    catalog: Catalog,
    tell: Tell = lambda _: None,
    *,
    timeout_seconds: float = SYNC_TIMEOUT_SECONDS,
) -> None:
    """Billing providers have all that they need of the catalog.

    Raises:
        NotSyncedError: One refused something, or the time was up; the message says what is missing.
    """
    deadline = time.monotonic() + timeout_seconds
    while True:
        left = list(_unsynced(api, catalog))
        if not left:
            return
        pending = [name for name, status, _ in left if status == "pending"]
        if not pending:
            refused = "; ".join(f"{name}: {reason}" for name, _, reason in left)
            raise NotSyncedError(f"Stripe refused {refused}", code="sync_failed")
        if time.monotonic() > deadline:
            raise NotSyncedError(
                f"After {timeout_seconds:g} s Stripe still has not got {', '.join(pending)}."
                " It is tried on in the background.",
                code="sync_pending",
            )
        tell(", ".join(pending))
        time.sleep(POLL_SECONDS)


def _create(api: "ApiClient", kind: str, body: dict[str, Any]) -> bool:
    try:
        made = api.post(path(kind), body)
        # A draft of an earlier try that was cut short is published now, too.
        if kind in PUBLISHED_KINDS and made["version"] is None:
            api.post(path(kind, body["id"], "publish"), {"migration": "new_customers"})
    except ApiError as error:
        if error.code == "already_exists":
            return False
        raise
    return True


def _unsynced(api: "ApiClient", catalog: Catalog) -> Iterator[tuple[str, str, str]]:
    for kind in PUBLISHED_KINDS:
        for body in catalog[kind]:
            shown = api.get(path(kind, body["id"]))
            status = shown["sync_status"]
            # A draft of the user's is not on its way to anybody.
            if shown["status"] == "published" and status not in ("synced", "not_required"):
                links = [*shown["billing"], *(b for p in shown["prices"] for b in p["billing"])]
                reasons = [link["error"] for link in links if link["error"]]
                yield f"{kind} {body['id']}", status, "; ".join(reasons) or "no reason given"
