"""The environment variables: read here alone, checked once, and named when they are wrong."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

# What our Stripe adapter is written for and webhook endpoints must be created with (stripe 16.1.0 pins it, too).
STRIPE_API_VERSION: Final = "2026-10-28.endive"
STRIPE_API_BASE: Final = "https://api.stripe.com"
_DEFAULT_STAGE: Final = "dev"
_KMS_KEY: Final = re.compile(
    r"(arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/)?(mrk-[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})"
)
_CLIENT_ID: Final = re.compile(r"ca_[A-Za-z0-9_]{1,64}")
_SECRET_LENGTH: Final = 32
_SECRET_VARIETY: Final = 10  # different characters: random hexadecimal ones have more
_LIVE_KEY_PREFIXES: Final = ("sk_live_", "rk_live_")
_TEST_KEY_PREFIXES: Final = ("sk_test_", "rk_test_")
SSM_PREFIX: Final = "ssm:"
SECRETS_MANAGER_PREFIX: Final = "secretsmanager:"


class SettingsError(Exception):
    """The environment can't be run like this; the message names the variable and what it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A checked environment. Secrets never show in its text.

    Where the secrets are references (`ssm:...`), what stands behind them is checked when it is read.
    """

    stage: str
    live: bool
    public_url: str
    return_origins: tuple[str, ...]
    aws_region: str
    aws_endpoint_url: str | None
    aws_keys: tuple[str, str, str | None] | None
    billing_providers: tuple[str, ...]
    stripe_api_base: str
    stripe_secret_key: str | None
    stripe_webhook_secrets: tuple[str, ...]
    drift_policy: str = "restore"
    has_test_clock: bool = False
    duplicates: str = "refund"
    checkouts_per_minute: int = 5
    requests_per_second: int = 500
    requests_burst: int = 1000
    browser_origins: tuple[str, ...] = ()
    token_secrets: tuple[str, ...] = ()
    webhook_targets: str = "public"
    signing_keys: tuple[str, ...] = ()
    stripe_client_id: str | None = None
    stripe_connect: str | None = None

    def __repr__(self) -> str:
        """Only what may stand in a log."""
        return f"Settings(stage={self.stage!r}, live={self.live})"


def stage() -> str:
    """The environment's name. It is part of every table's and queue's name, so it is needed at packaging, too."""
    return os.environ.get("PAYGRADE_STAGE") or _DEFAULT_STAGE


def is_chalice_command() -> bool:
    """Whether this is one of Chalice's commands looking at the app: it says so itself."""
    return os.environ.get("AWS_CHALICE_CLI_MODE") == "true"


def reconcile_every_minutes(environ: Mapping[str, str] | None = None) -> int:
    """How often the scheduled reconciliation starts."""
    values = os.environ if environ is None else environ
    return _count(values, "PAYGRADE_RECONCILE_MINUTES", "60")


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process; raises `SettingsError` for anything missing or contradictory."""
    values = os.environ if environ is None else environ
    mode = values.get("PAYGRADE_MODE", "test")
    if mode not in ("test", "live"):
        raise SettingsError("PAYGRADE_MODE is 'test' or 'live'.")
    public_url = values.get("PAYGRADE_PUBLIC_URL", "").rstrip("/")
    if not public_url:
        raise SettingsError("PAYGRADE_PUBLIC_URL is missing: the URL at which this API is reached.")
    own_origin = _origin("PAYGRADE_PUBLIC_URL", public_url)
    listed = _split(values.get("PAYGRADE_RETURN_ORIGINS", ""))
    origins = (own_origin, *(_origin("PAYGRADE_RETURN_ORIGINS", origin) for origin in listed))
    stripe_key = _stripe_key(values, live=mode == "live")
    return Settings(
        stage=values.get("PAYGRADE_STAGE") or _DEFAULT_STAGE,
        live=mode == "live",
        public_url=public_url,
        return_origins=tuple(dict.fromkeys(origins)),
        aws_region=values.get("AWS_REGION") or values.get("AWS_DEFAULT_REGION") or "us-east-1",
        aws_endpoint_url=values.get("AWS_ENDPOINT_URL") or None,
        aws_keys=_aws_keys(values),
        stripe_api_base=values.get("STRIPE_API_BASE") or STRIPE_API_BASE,
        billing_providers=_billing_providers(values, has_stripe=stripe_key is not None),
        stripe_secret_key=stripe_key,
        stripe_webhook_secrets=_webhook_secrets(values),
        drift_policy=_drift_policy(values),
        has_test_clock=_has_test_clock(values, live=mode == "live"),
        duplicates=_duplicates(values),
        browser_origins=_browser_origins(values),
        token_secrets=_token_secrets(values),
        signing_keys=kms_keys("PAYGRADE_SIGNING_KEYS", values),
        stripe_client_id=_client_id(values),
        stripe_connect=_stripe_connect(values, live=mode == "live"),
        checkouts_per_minute=_count(values, "PAYGRADE_CHECKOUTS_PER_MINUTE", "5"),
        requests_per_second=_count(values, "PAYGRADE_REQUESTS_PER_SECOND", "500"),
        requests_burst=_count(values, "PAYGRADE_REQUESTS_BURST", "1000"),
        webhook_targets=_webhook_targets(values, live=mode == "live"),
    )


def _count(values: Mapping[str, str], name: str, default: str) -> int:
    text = values.get(name, default)
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(f"{name} is a whole number of at least 1.")
    return int(text)


def _has_test_clock(values: Mapping[str, str], *, live: bool) -> bool:
    text = values.get("PAYGRADE_TEST_CLOCK", "off")
    if text not in ("on", "off"):
        raise SettingsError("PAYGRADE_TEST_CLOCK is 'on' or 'off'.")
    if text == "on" and live:
        raise SettingsError(
            "PAYGRADE_TEST_CLOCK is 'on', but a live environment has no test clock."
        )
    return text == "on"


def _webhook_targets(values: Mapping[str, str], *, live: bool) -> str:
    """Where events may be sent: to public addresses, or, on a developer's machine, to itself as well."""
    targets = values.get("PAYGRADE_WEBHOOK_TARGETS", "public")
    if targets not in ("public", "local"):
        raise SettingsError("PAYGRADE_WEBHOOK_TARGETS is 'public' or 'local'.")
    if live and targets == "local":
        raise SettingsError("PAYGRADE_WEBHOOK_TARGETS is 'local', but PAYGRADE_MODE is 'live'.")
    return targets


def _drift_policy(values: Mapping[str, str]) -> str:
    policy = values.get("PAYGRADE_DRIFT_POLICY", "restore")
    if policy not in ("restore", "report"):
        raise SettingsError("PAYGRADE_DRIFT_POLICY is 'restore' or 'report'.")
    return policy


def _duplicates(values: Mapping[str, str]) -> str:
    policy = values.get("PAYGRADE_DUPLICATES", "refund")
    if policy not in ("refund", "report"):
        raise SettingsError("PAYGRADE_DUPLICATES is 'refund' or 'report'.")
    return policy


def _aws_keys(values: Mapping[str, str]) -> tuple[str, str, str | None] | None:
    """Access key, secret and session token where Lambda puts them; None if they have to be looked for elsewhere."""
    access_key, secret = values.get("AWS_ACCESS_KEY_ID"), values.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret:
        return None
    return access_key, secret, values.get("AWS_SESSION_TOKEN") or None


def _billing_providers(values: Mapping[str, str], *, has_stripe: bool) -> tuple[str, ...]:
    """In the order in which they are asked and told. Which names there are, `wiring` knows."""
    text = values.get("PAYGRADE_BILLING_PROVIDERS")
    if text is None:
        return ("stripe",) if has_stripe else ()
    names = _split(text)
    if not names:
        raise SettingsError(
            "PAYGRADE_BILLING_PROVIDERS is blank: leave it out or name the providers."
        )
    if len(set(names)) != len(names):
        raise SettingsError("PAYGRADE_BILLING_PROVIDERS names a provider twice.")
    if "stripe" in names and not has_stripe:
        raise SettingsError(
            "PAYGRADE_BILLING_PROVIDERS names 'stripe', but STRIPE_SECRET_KEY is missing."
        )
    return names


def _stripe_key(values: Mapping[str, str], *, live: bool) -> str | None:
    key = values.get("STRIPE_SECRET_KEY")
    if key is None:
        return None
    if not is_reference(key):
        check_stripe_key(key, live=live)
    return key


def _client_id(values: Mapping[str, str]) -> str | None:
    """The platform's, under which accounts are connected; the key is then the platform's, too."""
    text = values.get("STRIPE_CONNECT_CLIENT_ID")
    if text is None:
        return None
    if not _CLIENT_ID.fullmatch(text):
        raise SettingsError(
            "STRIPE_CONNECT_CLIENT_ID is no client id (ca_...) of a Stripe Connect platform."
        )
    if values.get("STRIPE_SECRET_KEY") is None:
        raise SettingsError(
            "STRIPE_CONNECT_CLIENT_ID needs the platform's key: STRIPE_SECRET_KEY is missing."
        )
    return text


def _stripe_connect(values: Mapping[str, str], *, live: bool) -> str | None:
    """Whether a connected account is a must; None where there is no platform to connect one to."""
    text = values.get("PAYGRADE_STRIPE_CONNECT", "required")
    if text not in ("required", "optional"):
        raise SettingsError("PAYGRADE_STRIPE_CONNECT is 'required' or 'optional'.")
    if text == "optional" and live:
        raise SettingsError(
            "PAYGRADE_STRIPE_CONNECT is 'optional', but a live environment never sells on the platform's own account."
        )
    if "STRIPE_CONNECT_CLIENT_ID" in values:
        return text
    if "PAYGRADE_STRIPE_CONNECT" in values:
        raise SettingsError(
            "PAYGRADE_STRIPE_CONNECT needs a platform to connect accounts to: STRIPE_CONNECT_CLIENT_ID is missing."
        )
    return None


def is_reference(setting: str) -> bool:
    """Whether the setting only says where the secret is kept."""
    return setting.startswith((SSM_PREFIX, SECRETS_MANAGER_PREFIX))


def check_stripe_key(key: str, *, live: bool) -> None:
    """Raises `SettingsError` for a key that is blank or of the other mode."""
    if not key.strip():
        raise SettingsError("STRIPE_SECRET_KEY is blank: leave it out or give a key.")
    if live and not key.startswith(_LIVE_KEY_PREFIXES):
        raise SettingsError("STRIPE_SECRET_KEY is no live key, but PAYGRADE_MODE is 'live'.")
    if not live and not key.startswith(_TEST_KEY_PREFIXES):
        raise SettingsError(
            "STRIPE_SECRET_KEY is no test key, but PAYGRADE_MODE is 'test': test and live never mix."
        )


def _webhook_secrets(values: Mapping[str, str]) -> tuple[str, ...]:
    text = values.get("STRIPE_WEBHOOK_SECRETS")
    if text is None:
        return ()
    return (text,) if is_reference(text) else webhook_secrets(text)


def webhook_secrets(text: str) -> tuple[str, ...]:
    """The secrets in the text, more than one while they are rolled; raises `SettingsError` for a blank one."""
    secrets = tuple(part.strip() for part in text.split(","))
    if not all(secrets):
        raise SettingsError(
            "STRIPE_WEBHOOK_SECRETS has a blank secret: anybody could sign with that."
        )
    return secrets


def _token_secrets(values: Mapping[str, str]) -> tuple[str, ...]:
    text = values.get("PAYGRADE_TOKEN_SECRETS")
    if text is None:
        return ()
    return (text,) if is_reference(text) else token_secrets(text)


def token_secrets(text: str) -> tuple[str, ...]:
    """The secrets in the text: the first signs, all are accepted; raises `SettingsError` for a weak one."""
    secrets = tuple(part.strip() for part in text.split(","))
    if any(len(one) < _SECRET_LENGTH or len(set(one)) < _SECRET_VARIETY for one in secrets):
        raise SettingsError(
            "PAYGRADE_TOKEN_SECRETS has a blank or weak secret: anybody could sign with that. Each is at least"
            f" {_SECRET_LENGTH} random characters, e.g. of `openssl rand -hex 32`."
        )
    if len(set(secrets)) != len(secrets):
        raise SettingsError("PAYGRADE_TOKEN_SECRETS has a secret twice.")
    return secrets


def kms_keys(name: str, values: Mapping[str, str]) -> tuple[str, ...]:
    """The keys of AWS KMS that the variable names, by id or ARN, never by an alias: what a policy allows is a key.

    Raises:
        SettingsError: One is neither.
    """
    text = values.get(name)
    if text is None:
        return ()
    keys = tuple(part.strip() for part in text.split(","))
    if not all(_KMS_KEY.fullmatch(one) for one in keys):
        raise SettingsError(f"{name} has something that is no id or ARN of a KMS key.")
    return keys


def _browser_origins(values: Mapping[str, str]) -> tuple[str, ...]:
    """As browsers send them: `https://app.example.com`, in lower case, without a path."""
    listed = _split(values.get("PAYGRADE_BROWSER_ORIGINS", ""))
    for one in listed:
        if one != _origin("PAYGRADE_BROWSER_ORIGINS", one).lower():
            raise SettingsError(
                f"PAYGRADE_BROWSER_ORIGINS has {one!r}, which is no origin such as https://app.example.com."
            )
    return listed


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _origin(variable: str, url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise SettingsError(f"{variable} has {url!r}, which is no http(s) URL.")
    return f"{parts.scheme}://{parts.netloc}"
