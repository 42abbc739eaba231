"""The keys of AWS KMS that a stage's settings name."""

from collections.abc import Mapping
from typing import Final

from chalicelib.settings import SettingsError, kms_keys
from infra.deploy.errors import DeployError

SIGNING_KEYS: Final = "PAYGRADE_SIGNING_KEYS"
# The first encrypts secrets, all open them. None: SSM and Secrets Manager use the account's own.
SECRETS_KEYS: Final = "PAYGRADE_SECRETS_KEYS"


def stage_keys(name: str, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Ids or ARNs of the keys that this variable names.

    Raises:
        DeployError: It names something else, an alias for instance.
    """
    try:
        return kms_keys(name, variables)
    except SettingsError as error:
        raise DeployError(str(error), code="bad_key") from None
