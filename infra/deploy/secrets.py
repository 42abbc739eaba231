"""The secrets of a stage, kept where and under the key that its settings say. None is ever shown."""

from collections.abc import Mapping
from typing import Final

from botocore.exceptions import ClientError

from chalicelib.settings import (
    SECRETS_MANAGER_PREFIX,
    SSM_PREFIX,
    SettingsError,
    check_stripe_key,
    is_reference,
    token_secrets,
    webhook_secrets,
)
from infra.deploy.aws import Aws, code
from infra.deploy.errors import DeployError
from infra.deploy.keys import SECRETS_KEYS, stage_keys

STRIPE_KEY: Final = "STRIPE_SECRET_KEY"
WEBHOOK_SECRETS: Final = "STRIPE_WEBHOOK_SECRETS"
TOKEN_SECRETS: Final = "PAYGRADE_TOKEN_SECRETS"  # noqa: S105 -- the setting's name
_ABSENT: Final = ("ParameterNotFound", "ResourceNotFoundException")


class Secrets:
    """The secrets that the stage's variables name."""

    def __init__(self, aws: Aws, variables: Mapping[str, str], *, live: bool) -> None:
        """No request is made."""
        self._aws = aws
        self._variables = variables
        self._live = live

    def where(self, name: str) -> str:
        """The reference of the setting.

        Raises:
            DeployError: It is none: the value stands in the configuration, or the stage has no such setting.
        """
        value = self._variables.get(name, "")
        if not is_reference(value):
            raise DeployError(
                f"{name} of this stage is no reference (ssm:... or secretsmanager:...) in .chalice/config.json.",
                code="not_a_reference",
            )
        return value

    def read(self, name: str) -> str | None:
        """The secret, as the functions take it: without blanks around it; None if there is none yet."""
        value = self._variables.get(name)
        if value is None or not is_reference(value):
            return value
        kind, _, place = value.partition(":")
        try:
            if f"{kind}:" == SSM_PREFIX:
                found = self._aws.client("ssm").get_parameter(Name=place, WithDecryption=True)
                return str(found["Parameter"]["Value"]).strip()
            found = self._aws.client("secretsmanager").get_secret_value(SecretId=place)
            return str(found["SecretString"]).strip()
        except ClientError as error:
            if code(error) in _ABSENT:
                return None
            raise

    def write(self, name: str, text: str) -> None:
        """The secret is kept, encrypted under the stage's key if it has one. Functions take it within five minutes.

        Raises:
            DeployError: It can't be one: blank, or a key of the other mode. Or the stage's key can't be one.
        """
        self.check(name, text)
        keys = stage_keys(SECRETS_KEYS, self._variables)
        reference = self.where(name)
        place = reference.partition(":")[2]
        if reference.startswith(SECRETS_MANAGER_PREFIX):
            client = self._aws.client("secretsmanager")
            own_key = {"KmsKeyId": keys[0]} if keys else {}
            # Only an update changes the key of a secret; it changes the secret in the same request.
            replace = client.update_secret if keys else client.put_secret_value
            try:
                replace(SecretId=place, SecretString=text, **own_key)
            except ClientError as error:
                if code(error) not in _ABSENT:
                    raise
                client.create_secret(Name=place, SecretString=text, **own_key)
            return
        own_key = {"KeyId": keys[0]} if keys else {}
        self._aws.client("ssm").put_parameter(
            Name=place, Value=text, Type="SecureString", Overwrite=True, **own_key
        )

    def check(self, name: str, text: str) -> None:
        """Raises `DeployError` if the functions would refuse the text as this setting."""
        try:
            if name == STRIPE_KEY:
                check_stripe_key(text, live=self._live)
            elif name == WEBHOOK_SECRETS:
                webhook_secrets(text)
            elif name == TOKEN_SECRETS:
                token_secrets(text)
        except SettingsError as error:
            raise DeployError(str(error), code="bad_secret") from None
        if not text.strip():
            raise DeployError(f"{name} is blank.", code="bad_secret")
