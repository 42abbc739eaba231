"""Is what was deployed alive: asked over HTTP, as anybody would."""

import json
import time
from http import HTTPStatus
from typing import Final
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from infra.deploy.errors import DeployError
from infra.deploy.webhook import PATH

_TIMEOUT_SECONDS: Final = 10.0
PATIENCE_SECONDS: Final = 45.0
_PAUSE_SECONDS: Final = 1.0


def smoke_test(
    url: str, stage: str, *, webhook: bool, patience_seconds: float = PATIENCE_SECONDS
) -> list[str]:
    """The API answers for this stage and, if it has a webhook secret, knows it; what was asked.

    Raises:
        DeployError: It does not; the message has the answer.
    """
    status, text = _patiently(f"{url}/v1/health", None, patience_seconds)
    if status != HTTPStatus.OK or json.loads(text).get("environment") != stage:
        raise DeployError(
            f"{url}/v1/health answered {status}: {text[:300]}. Look into the log: aws logs tail /aws/lambda/"
            f"paygrade-{stage} --since 10m",
            code="smoke_failed",
        )
    asked = [f"GET {url}/v1/health: ok"]
    if webhook:
        # Refused for its signature, it has found the secret to compare with.
        status, text = _patiently(url + PATH, b"{}", patience_seconds)
        if status != HTTPStatus.BAD_REQUEST or "invalid_signature" not in text:
            raise DeployError(
                f"An unsigned delivery was answered {status}: {text[:300]}", code="smoke_failed"
            )
        asked.append("an unsigned webhook delivery is refused")
    return asked


def _patiently(url: str, body: bytes | None, patience_seconds: float) -> tuple[int, str]:
    """The answer; a new API takes a moment to be found, and its first function to start."""
    if not url.startswith(("http://", "https://")):
        raise DeployError(f"{url} is no address.")
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            with urlopen(Request(url, data=body), timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310  # nosec B310  # http(s) alone, see above
                return answer.status, answer.read().decode()
        except HTTPError as error:
            answered = error.code, error.read().decode(errors="replace")
            if error.code < HTTPStatus.INTERNAL_SERVER_ERROR and error.code != HTTPStatus.FORBIDDEN:
                return answered
        except (URLError, TimeoutError) as error:
            answered = 0, str(error)
        if time.monotonic() > deadline:
            return answered
        time.sleep(_PAUSE_SECONDS)
