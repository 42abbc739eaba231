"""The environment variables of the local app: set before it is imported, put back after."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from infra.local.errors import LocalStackError

STAGE: Final = "local"
# The emulator keeps each region's data apart, so it is the same at every start, whatever a user has set.
REGION: Final = "us-east-1"
STAND_IN_KEY: Final = "sk_test_paygrade_local"
TEST_KEY_PREFIXES: Final = ("sk_test_", "rk_test_")

# Where pages under development are served by common tools.
BROWSER_ORIGINS: Final = (
    "http://localhost:3000",
    "http://127.0.0.1:3000",
    "http://localhost:5173",
    "http://127.0.0.1:5173",
)

# What would lead AWS clients elsewhere than to the emulator.
MISLEADING: Final = (
    "AWS_DEFAULT_PROFILE",
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_SQS",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_SESSION_TOKEN",
)


class LiveKeyError(LocalStackError):
    """The key in STRIPE_SECRET_KEY is none of Stripe's test mode."""


def stripe_test_key() -> str | None:
    """The user's own Stripe key, if the stack shall use Stripe's test mode.

    Raises:
        LiveKeyError: It is a live key, or no key of Stripe's.
    """
    key = os.environ.get("STRIPE_SECRET_KEY", "").strip()
    if key == STAND_IN_KEY:
        return None
    if key and not key.startswith(TEST_KEY_PREFIXES):
        raise LiveKeyError(
            "STRIPE_SECRET_KEY is set but is no test key (sk_test_... or rk_test_...): the local"
            " stack never touches live data. Unset it to use the stand-in."
        )
    return key or None


def aws_variables(endpoint_url: str) -> dict[str, str]:
    """What makes every AWS client talk to the emulator, and to nothing else."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": ",".join(filter(None, ["127.0.0.1", "localhost", os.environ.get("NO_PROXY")])),
    }


def app_variables(public_url: str) -> dict[str, str]:
    """Which environment the app is."""
    return {
        "PAYGRADE_STAGE": STAGE,
        "PAYGRADE_MODE": "test",
        "PAYGRADE_TEST_CLOCK": "on",
        "PAYGRADE_PUBLIC_URL": public_url,
        "PAYGRADE_WEBHOOK_TARGETS": "local",
    }


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """The variables are set, and the misleading ones are not, for the length of the block."""
    before = dict(os.environ)
    for name in MISLEADING:
        os.environ.pop(name, None)
    os.environ.update(values)
    try:
        yield
    finally:
        for name in {*values, *MISLEADING}:
            if name in before:
                os.environ[name] = before[name]
            else:
                os.environ.pop(name, None)
