"""Secrets under a key of the stage's own, as SSM and Secrets Manager tell which one it is."""

import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.deploy.aws import Aws, connect
from infra.deploy.errors import DeployError
from infra.deploy.keys import SECRETS_KEYS, SIGNING_KEYS
from infra.deploy.secrets import STRIPE_KEY, WEBHOOK_SECRETS, Secrets
from tests.integration.cloud.stage import new_stage

FIRST = "11111111-2222-3333-4444-555555555555"
OTHER = "arn:aws:kms:us-east-1:000000000000:key/mrk-0123456789abcdef0123456789abcdef"


@dataclass
class Account:
    """An account, and the names that this test alone uses in it."""

    aws: Aws
    name: str = field(default_factory=lambda: f"paygrade/t{uuid.uuid4().hex[:8]}")

    def secrets(self, **variables: str) -> Secrets:
        where = {
            STRIPE_KEY: f"secretsmanager:{self.name}/key",
            WEBHOOK_SECRETS: f"ssm:/{self.name}/hooks",
        }
        return Secrets(self.aws, where | variables, live=False)

    def key_of_hooks(self) -> str:
        found = self.aws.client("ssm").describe_parameters(
            ParameterFilters=[{"Key": "Name", "Values": [f"/{self.name}/hooks"]}]
        )
        (parameter,) = found["Parameters"]
        assert parameter["Type"] == "SecureString"
        return str(parameter["KeyId"])

    def key_of_stripe_key(self) -> Any:
        found = self.aws.client("secretsmanager").describe_secret(SecretId=f"{self.name}/key")
        return found.get("KmsKeyId")


@pytest.fixture
def account(session: boto3.Session) -> Account:
    return Account(connect("dev", region=None, profile=None))


def test_parameter_is_written_under_the_first_key_and_under_another_when_that_comes_first(
    account: Account,
) -> None:
    under_first = account.secrets(**{SECRETS_KEYS: f"{FIRST}, {OTHER}"})
    under_first.write(WEBHOOK_SECRETS, "whsec_one")
    assert account.key_of_hooks() == FIRST
    assert under_first.read(WEBHOOK_SECRETS) == "whsec_one"
    under_other = account.secrets(**{SECRETS_KEYS: f"{OTHER}, {FIRST}"})
    under_other.write(WEBHOOK_SECRETS, "whsec_two")
    assert account.key_of_hooks() == OTHER
    assert under_other.read(WEBHOOK_SECRETS) == "whsec_two"


def test_parameter_of_a_stage_without_a_key_is_under_that_of_the_account(account: Account) -> None:
    account.secrets().write(WEBHOOK_SECRETS, "whsec_one")
    assert account.key_of_hooks() == "alias/aws/ssm"


def test_secret_is_made_and_replaced_under_the_first_key(account: Account) -> None:
    under_first = account.secrets(**{SECRETS_KEYS: FIRST})
    under_first.write(STRIPE_KEY, "sk_test_one")
    assert account.key_of_stripe_key() == FIRST
    under_other = account.secrets(**{SECRETS_KEYS: f"{OTHER}, {FIRST}"})
    under_other.write(STRIPE_KEY, "sk_test_two")
    assert account.key_of_stripe_key() == OTHER
    assert under_other.read(STRIPE_KEY) == "sk_test_two"


def test_secret_of_the_accounts_key_moves_under_the_stages(account: Account) -> None:
    account.secrets().write(STRIPE_KEY, "sk_test_one")
    assert account.key_of_stripe_key() is None
    account.secrets(**{SECRETS_KEYS: FIRST}).write(STRIPE_KEY, "sk_test_two")
    assert account.key_of_stripe_key() == FIRST


@pytest.mark.parametrize("text", ["", "alias/paygrade", f"{FIRST},"])
@pytest.mark.parametrize(
    ("name", "secret"), [(WEBHOOK_SECRETS, "whsec_one"), (STRIPE_KEY, "sk_test_one")]
)
def test_key_that_is_none_of_kms_keeps_no_secret(
    account: Account, text: str, name: str, secret: str
) -> None:
    with pytest.raises(DeployError, match=SECRETS_KEYS) as refused:
        account.secrets(**{SECRETS_KEYS: text}).write(name, secret)
    assert refused.value.code == "bad_key"
    assert secret not in str(refused.value)
    assert account.secrets().read(name) is None


@pytest.mark.parametrize("setting", [SECRETS_KEYS, SIGNING_KEYS])
def test_stage_whose_key_is_none_of_kms_is_refused_before_anything_is_made(
    session: boto3.Session, tmp_path: Path, setting: str
) -> None:
    stage = new_stage(tmp_path, "http://127.0.0.1:9", **{setting: "alias/paygrade"})
    with pytest.raises(DeployError, match=setting):
        stage.deploy()
    assert stage.functions() == {}
    assert stage.told == [str(stage.aws.place)]  # where it would have gone
