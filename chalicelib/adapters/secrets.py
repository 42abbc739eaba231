"""Secrets that live in AWS: read when first needed, and again every five minutes, so that they rotate without a deploy.

A setting names one as `ssm:/path/of/the/parameter` (SSM Parameter Store) or `secretsmanager:name` (Secrets Manager).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from threading import Lock
from typing import Any, Final

from chalicelib.adapters.aws_failures import unavailable_if_passing
from chalicelib.domain.errors import BillingNotConfiguredError, StoreUnavailableError
from chalicelib.ports import Clock, Monitor
from chalicelib.settings import SSM_PREFIX, is_reference

# The bound on how long a process goes on with a secret that was replaced, if nobody complains of it.
KEPT_FOR: Final = timedelta(minutes=5)
# The bound while AWS does not answer: what was good a moment ago is most likely good still.
KEPT_AT_MOST: Final = timedelta(minutes=30)
# However often somebody complains or AWS fails: nobody makes us ask more often than this.
PAUSE: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class _Known:
    """`asked_at`: when AWS was asked last, with an answer or without."""

    text: str = field(repr=False)
    read_at: datetime
    asked_at: datetime
    due_at: datetime

    def is_due(self, now: datetime) -> bool:
        return now >= self.due_at

    def is_usable(self, now: datetime) -> bool:
        return now < self.read_at + KEPT_AT_MOST

    def without_answer(self, now: datetime) -> "_Known":
        due_at = min(now + PAUSE, self.read_at + KEPT_AT_MOST)
        return replace(self, asked_at=now, due_at=due_at)


class _Slot:
    """What is known of one reference. `asking` is held by the one thread that asks AWS, or changes what is known."""

    def __init__(self) -> None:
        self.known: _Known | None = None
        self.asking = Lock()


class KeptSecrets:
    """The texts behind references of one environment."""

    def __init__(self, read: Callable[[str], str], *, clock: Clock, monitor: Monitor) -> None:
        """Nothing is read yet; `read` tells the text behind a reference, like `AwsSecrets`."""
        self._read = read
        self._clock = clock
        self._monitor = monitor
        self._slots: dict[str, _Slot] = {}

    def text(self, setting: str, name: str) -> str:
        """What the setting stands for: itself, unless it is a reference. `name` is the setting's, for the log.

        Raises:
            BillingNotConfiguredError: There is no such secret.
            StoreUnavailableError: AWS does not answer now, and has not for long.
        """
        if not is_reference(setting):
            return setting
        slot = self._slots.setdefault(setting, _Slot())
        known, now = slot.known, self._clock.now()
        if known is not None and not known.is_due(now):
            return known.text
        if known is not None and known.is_usable(now):
            # One thread asks, and no other waits for it.
            if not slot.asking.acquire(blocking=False):
                return known.text
        else:
            slot.asking.acquire()
        try:
            return self._asked(slot, setting, name)
        finally:
            slot.asking.release()

    def doubt(self, setting: str) -> None:
        """The secret is read again before it is used the next time, or `PAUSE` after it was asked for last."""
        slot = self._slots.get(setting)
        # If somebody asks right now, the news is on its way.
        if slot is None or not slot.asking.acquire(blocking=False):
            return
        try:
            if (known := slot.known) is not None:
                slot.known = replace(known, due_at=min(known.due_at, known.asked_at + PAUSE))
        finally:
            slot.asking.release()

    def _asked(self, slot: _Slot, setting: str, name: str) -> str:
        known, now = slot.known, self._clock.now()
        if known is not None and not known.is_due(now):
            return known.text  # another thread was told while this one waited
        try:
            text = self._read(setting)
        except StoreUnavailableError:
            if known is None or not known.is_usable(now):
                raise
            slot.known = known.without_answer(self._clock.now())
            self._monitor.event("secret_stale", entity=f"setting:{name}")
            return known.text
        except BillingNotConfiguredError:
            slot.known = None  # it is gone, and that is certain
            raise
        slot.known = _Known(text, read_at=now, asked_at=now, due_at=now + KEPT_FOR)
        return text


class AwsSecrets:
    """SSM and Secrets Manager: one request for each reading."""

    def __init__(self, *, region: str, endpoint_url: str | None) -> None:
        """No request is made."""
        self._region = region
        self._endpoint_url = endpoint_url

    def read(self, reference: str) -> str:
        """The text behind the reference.

        Raises:
            BillingNotConfiguredError: There is no such secret.
            StoreUnavailableError: AWS does not answer now.
        """
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
        return Session().client("ssm", **self._settings())

    @cached_property
    def _secrets_manager(self) -> Any:  # noqa: ANN401
        from boto3.session import Session  # noqa: PLC0415

        return Session().client("secretsmanager", **self._settings())

    def _settings(self) -> dict[str, Any]:
        from botocore.config import Config  # noqa: PLC0415

        # Left to itself, botocore waits for a minute. A request may need two secrets, and the gateway gives up after
        # 29 seconds, which is the end of the process, too, and of all that it knows.
        config = Config(
            connect_timeout=1, read_timeout=3, retries={"total_max_attempts": 2, "mode": "standard"}
        )
        return {
            "region_name": self._region,
            "endpoint_url": self._endpoint_url,
            "config": config,
        }
