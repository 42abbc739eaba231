"""Which Stripe the local app talks to: the stand-in of this stack, or the user's own test mode.

The only place that knows how the stand-in is started.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from infra.local.environment import STAND_IN_KEY
from infra.local.ports import PortBusyError

if TYPE_CHECKING:
    from infra.local.stripe_stand_in import StandIn

STRIPE_API_URL: Final = "https://api.stripe.com"
WEBHOOK_PATH: Final = "/v1/webhooks/stripe"


@dataclass(frozen=True, slots=True)
class Billing:
    """Where Stripe is, and the environment variables that tell the app."""

    url: str
    webhook_secret: str | None
    variables: Mapping[str, str]


@contextmanager
def stand_in(state_file: Path, port: int, api_url: str) -> Iterator[Billing]:
    """A stand-in runs for the length of the block and delivers its events to the API.

    Raises:
        PortBusyError: Somebody else listens on the port.
    """
    # Imported late: with a key of the user's own it is never needed.
    from infra.local.stripe_stand_in import StandIn  # noqa: PLC0415
    from infra.local.stripe_stand_in.account import CLIENT_ID  # noqa: PLC0415
    from infra.local.stripe_stand_in.server import PortInUseError, StandInServer  # noqa: PLC0415

    account = StandIn(state_file)
    try:
        address = f"{api_url}{WEBHOOK_PATH}"
        secret = account.register_webhook(address)
        account.register_webhook(address, secret, connect=True)
        _forget_former_apis(account, api_url)
        server = StandInServer(account, port=port)
        try:
            server.start()
        except PortInUseError as error:
            raise PortBusyError(port, "--stripe-port") from error
        try:
            yield Billing(
                url=server.url,
                webhook_secret=secret,
                variables={
                    "STRIPE_SECRET_KEY": STAND_IN_KEY,
                    "STRIPE_API_BASE": server.url,
                    "STRIPE_WEBHOOK_SECRETS": secret,
                    "STRIPE_CONNECT_CLIENT_ID": CLIENT_ID,
                    # It sells at once, on the stand-in's own account, and an account can be connected.
                    "PAYGRADE_STRIPE_CONNECT": "optional",
                },
            )
        finally:
            server.stop()
    finally:
        account.close()


def stripe_test_mode(secret_key: str) -> Billing:
    """Stripe itself, with the user's key; events come if the user forwards them and gives the secret."""
    return Billing(
        url=STRIPE_API_URL,
        webhook_secret=os.environ.get("STRIPE_WEBHOOK_SECRETS"),
        variables={"STRIPE_SECRET_KEY": secret_key},
    )


def _forget_former_apis(account: "StandIn", api_url: str) -> None:
    """No event goes to a port that the API had in an earlier run: a stranger may listen there now."""
    with account.lock:
        for endpoint in account.account.all("webhook_endpoint"):
            url = str(endpoint["url"])
            ours = url.startswith("http://127.0.0.1:") and url.endswith(WEBHOOK_PATH)
            if ours and url != f"{api_url}{WEBHOOK_PATH}":
                account.store.delete("webhook_endpoint", endpoint["id"])
        account.commit()
