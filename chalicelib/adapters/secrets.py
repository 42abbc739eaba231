"""Secrets that live in AWS: read when first needed, and again every five minutes, so that they rotate without a deploy.

A setting names one as `ssm:/path/of/the/parameter` (SSM Parameter Store) or `secretsmanager:name` (Secrets Manager).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from threading import Lock
from typing import Any, Final

from chalicelib.adapters.aws_failures import unavailable_if_passing
from chalicelib.domain.errors import BillingNotConfiguredError
from chalicelib.ports import Clock
from chalicelib.settings import SSM_PREFIX, is_reference

# The bound on how long a process goes on with a secret that was replaced.
KEPT_FOR: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class _Read:
    text: str
    until: datetime

    def __repr__(self) -> str:
        return f"_Read(until={self.until!r})"


class AwsSecrets:
    """The texts behind references of one environment."""

    def __init__(self, *, region: str, endpoint_url: str | None, clock: Clock) -> None:
        """No request is made."""
        self._region = region
        self._endpoint_url = endpoint_url
        self._clock = clock
        self._read: dict[str, _Read] = {}
        self._lock = Lock()

    def text(self, setting: str) -> str:
        """What the setting stands for: itself, unless it is a reference.

        Raises:
            BillingNotConfiguredError: There is no such secret.
            StoreUnavailableError: AWS does not answer now.
        """
        if not is_reference(setting):
            return setting
        with self._lock:
            known = self._read.get(setting)
            now = self._clock.now()
            if known is None or now >= known.until:
                known = _Read(self._fetch(setting), now + KEPT_FOR)
                self._read[setting] = known
            return known.text

    def _fetch(self, reference: str) -> str:
        from botocore.exceptions import ClientError  # noqa: PLC0415 -- most processes never need it

        with unavailable_if_passing():
            try:
                if reference.startswith(SSM_PREFIX):
                    return self._parameter(reference.removeprefix(SSM_PREFIX))
                return self._secret(reference.partition(":")[2])
            except ClientError as error:
                code = error.response.get("Error", {}).get("Code", "")
                if code in ("ParameterNotFound", "ResourceNotFoundException"):
                    raise BillingNotConfiguredError(f"There is no secret {reference!r}.") from None
                raise

    def _parameter(self, name: str) -> str:
        answer = self._ssm.get_parameter(Name=name, WithDecryption=True)
        return str(answer["Parameter"]["Value"])

    def _secret(self, name: str) -> str:
        return str(self._secrets_manager.get_secret_value(SecretId=name)["SecretString"])

    @cached_property
    def _ssm(self) -> Any:  # noqa: ANN401 -- its stubs are not among our tools
        from boto3.session import Session  # noqa: PLC0415

        # A session of its own: making clients of the shared one is not safe in threads.
        return Session().client("ssm", region_name=self._region, endpoint_url=self._endpoint_url)

    @cached_property
    def _secrets_manager(self) -> Any:  # noqa: ANN401
        from boto3.session import Session  # noqa: PLC0415

        return Session().client(
            "secretsmanager", region_name=self._region, endpoint_url=self._endpoint_url
        )
