"""Is what was deployed alive: asked over HTTP, as anybody would."""

import hashlib
import hmac
import json
import time
from http import HTTPStatus
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from infra.deploy.errors import DeployError
from infra.deploy.webhook import PATH

_TIMEOUT_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 45.0
_PAUSE_SECONDS: Final = 1.0
_SECRET_PAUSE_SECONDS: Final = 15.0
_UNSIGNED: Final = "invalid_signature"
# What the API says of a delivery that is signed and is no event: nothing of it is kept.
_SIGNED: Final = "malformed_event"


def smoke_test(
    url: str,
    stage: str,
    *,
    webhook: bool,
    secret: str | None = None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> list[str]:
    """The API answers for this stage and, if it has webhook secrets, compares with them; what was asked.

    `secret`: what Stripe signs with; the API must know it, too.

    Raises:
        DeployError: It does not; the message has the answer.
    """
    status, text = _patiently(f"{url}/v1/health", patience_seconds)
    if status != HTTPStatus.OK or _environment(text) != stage:
        raise DeployError(
            f"{url}/v1/health answered {status or 'nothing'}: {text[:300]}. Look into the log: aws logs tail"
            f" /aws/lambda/paygrade-{stage} --since 10m",
            code="smoke_failed",
        )
    asked = [f"GET {url}/v1/health: ok"]
    if webhook:
        # Refused for its signature, it has found the secret to compare with.
        status, text = _patiently(url + PATH, patience_seconds, body=b"{}")
        if status != HTTPStatus.BAD_REQUEST or _UNSIGNED not in text:
            raise DeployError(
                f"An unsigned delivery was answered {status or 'nothing'}: {text[:300]}",
                code="smoke_failed",
            )
        asked.append("an unsigned webhook delivery is refused")
    if webhook and secret is not None:
        _deliver_signed(url + PATH, secret, patience_seconds)
        asked.append("Stripe's signature is known")
    return asked


def address_answers(url: str, stage: str, *, patience_seconds: float = 5.0) -> bool:
    """Whether the stage's API is reached at this address, too."""
    status, text = _patiently(f"{url}/v1/health", patience_seconds)
    return status == HTTPStatus.OK and _environment(text) == stage


def _deliver_signed(address: str, secret: str, patience_seconds: float) -> None:
    """A delivery that Stripe could have signed is refused for what it says alone; a secret just made takes a while."""
    deadline = time.monotonic() + patience_seconds
    while True:
        status, text = _patiently(address, patience_seconds, body=b"{}", secret=secret)
        if status == HTTPStatus.BAD_REQUEST and _SIGNED in text:
            return
        if _UNSIGNED not in text or time.monotonic() > deadline:
            raise DeployError(
                f"A delivery signed with the endpoint's secret was answered {status or 'nothing'}: {text[:300]}",
                code="smoke_failed",
            )
        # A process reads the secrets again every half a minute at most, and each refusal counts for an alarm.
        time.sleep(min(_SECRET_PAUSE_SECONDS, patience_seconds))


def _environment(text: str) -> object:
    try:
        told = json.loads(text)
    except ValueError:
        return None
    return told.get("environment") if isinstance(told, dict) else None


def _patiently(
    url: str, patience_seconds: float, *, body: bytes | None = None, secret: str | None = None
) -> tuple[int, str]:
    """The answer; a new API takes a moment to be found, and its first function to start. 0: there was none."""
    if not url.startswith(("http://", "https://")):
        raise DeployError(f"{url} is no address.")
    deadline = time.monotonic() + patience_seconds
    while True:
        headers = {} if body is None or secret is None else _signed(body, secret)
        request = Request(url, data=body, headers=headers)  # noqa: S310  # http(s) alone, see above
        try:
            answered = _asked(request)
        except (OSError, HTTPException) as error:
            answered = 0, f"{type(error).__name__}: {error}"
        if (
            0 < answered[0] < HTTPStatus.INTERNAL_SERVER_ERROR
            and answered[0] != HTTPStatus.FORBIDDEN
        ):
            return answered
        if time.monotonic() > deadline:
            return answered
        time.sleep(_PAUSE_SECONDS)


def _asked(request: Request) -> tuple[int, str]:
    try:
        with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310  # nosec B310  # http(s) alone, see above
            return answer.status, answer.read().decode(errors="replace")
    except HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")


def _signed(body: bytes, secret: str) -> dict[str, str]:
    """As Stripe signs: https://docs.stripe.com/webhooks#verify-manually."""
    now = str(int(time.time()))
    mark = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={now},v1={mark}"}
