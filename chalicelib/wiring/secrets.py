"""The secrets that the settings name: looked up when they are needed, and checked then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib import settings
from chalicelib.adapters.secrets import KeptSecrets
from chalicelib.domain.errors import BillingNotConfiguredError, SigningNotConfiguredError
from chalicelib.settings import Settings, SettingsError

if TYPE_CHECKING:
    from chalicelib.domain.customer_tokens import TokenSecret


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets that the settings name, as they are now; what is wrong with one is told without it."""

    settings: Settings
    source: KeptSecrets

    def stripe_key(self) -> str:
        """The key, of this environment's mode."""
        setting = self.settings.stripe_secret_key
        if setting is None:
            raise BillingNotConfiguredError("The environment has no STRIPE_SECRET_KEY.")
        key = self.source.text(setting, "STRIPE_SECRET_KEY").strip()
        try:
            settings.check_stripe_key(key, live=self.settings.live)
        except SettingsError as error:
            raise BillingNotConfiguredError(str(error)) from None
        return key

    def doubt_stripe_key(self) -> None:
        """It is read again before it is used the next time: Stripe has rejected it, so it may have been replaced."""
        if self.settings.stripe_secret_key is not None:
            self.source.doubt(self.settings.stripe_secret_key)

    def token_secrets(self) -> tuple[TokenSecret, ...]:
        """What customer tokens are signed with, the one that signs first."""
        from chalicelib.domain.customer_tokens import TokenSecret  # noqa: PLC0415

        try:
            return tuple(
                TokenSecret(secret.encode())
                for setting in self.settings.token_secrets
                for secret in settings.token_secrets(
                    self.source.text(setting, "PAYGRADE_TOKEN_SECRETS")
                )
            )
        except (
            SettingsError,
            BillingNotConfiguredError,
        ) as error:  # weak, or not where it should be
            raise SigningNotConfiguredError(str(error)) from None

    def webhook_secrets(self) -> tuple[str, ...]:
        """Every secret that a delivery may be signed with: two while they are rolled."""
        try:
            return tuple(
                secret
                for setting in self.settings.stripe_webhook_secrets
                for secret in settings.webhook_secrets(
                    self.source.text(setting, "STRIPE_WEBHOOK_SECRETS")
                )
            )
        except SettingsError as error:
            raise BillingNotConfiguredError(str(error)) from None

    def doubt_webhook_secrets(self) -> None:
        """They are read again before they are used the next time: none of them fits, so one may be new."""
        for setting in self.settings.stripe_webhook_secrets:
            self.source.doubt(setting)
