"""Every function of the app has a policy without wildcards, and a place in the configuration of each stage."""

import json
from pathlib import Path
from typing import Any

import pytest
from chalice.app import SQSEventConfig

import app
from chalicelib.settings import load
from infra.deploy.errors import DeployError
from infra.deploy.keys import SECRETS_KEYS, SIGNING_KEYS
from infra.deploy.place import API_FUNCTION, Place
from infra.deploy.policies import (
    FIND,
    GRANTS,
    PARAMETER_CONTEXT,
    SECRET_CONTEXT,
    STRIPE_KEY,
    TOKEN_SECRETS,
    WEBHOOK_SECRETS,
    file_name,
    policy,
    write_policies,
)
from tests.unit.deploy.test_template import resources

ROOT = Path(app.__file__).parent
CONFIG: dict[str, Any] = json.loads((ROOT / ".chalice/config.json").read_text())
STAGES = tuple(CONFIG["stages"])
PROD = Place("prod", "111122223333", "eu-central-1")
SETTINGS = {
    STRIPE_KEY: "secretsmanager:paygrade/prod/key",
    WEBHOOK_SECRETS: "ssm:/paygrade/prod/stripe_webhook_secrets",
}
FUNCTIONS = {API_FUNCTION, *(source.name for source in app.app.event_sources)}


def statements(function: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = policy(PROD, function, SETTINGS)["Statement"]
    return found


def test_every_function_of_the_app_has_a_line_in_the_table_of_policies() -> None:
    missing = FUNCTIONS - set(GRANTS)
    assert not missing, f"say in infra/deploy/policies.py what {sorted(missing)} may do"
    left_over = set(GRANTS) - FUNCTIONS
    assert not left_over, f"infra/deploy/policies.py grants to {sorted(left_over)}, which is gone"


@pytest.mark.parametrize("function", sorted(GRANTS))
def test_policy_has_no_wildcard_but_the_names_of_log_streams(function: str) -> None:
    for statement in statements(function):
        assert statement["Effect"] == "Allow"
        for action in statement["Action"]:
            assert "*" not in action
        for resource in statement["Resource"]:
            service = resource.split(":")[2]
            name = resource.split(":", 5)[5]
            if service == "logs":
                assert name == f"log-group:/aws/lambda/{PROD.function_name(function)}:*"
            else:
                assert "*" not in resource
                assert "prod" in name
            assert resource.startswith(f"arn:aws:{service}:eu-central-1:111122223333:")


def test_queue_is_worked_off_by_its_function_and_by_no_other() -> None:
    for source in app.app.event_sources:
        if isinstance(source, SQSEventConfig):
            queue = GRANTS[source.name].works_off
            assert queue is not None
            assert str(source.queue).endswith(f"-{queue}.fifo")
    readers = [grants.works_off for grants in GRANTS.values() if grants.works_off]
    assert len(readers) == len(set(readers))


def test_secrets_are_opened_by_their_references_alone() -> None:
    opened = {
        (action, resource)
        for statement in statements(API_FUNCTION)
        for action in statement["Action"]
        for resource in statement["Resource"]
        if action.startswith(("ssm:", "secretsmanager:"))
    }
    where = "eu-central-1:111122223333"
    assert opened == {
        (
            "secretsmanager:GetSecretValue",
            f"arn:aws:secretsmanager:{where}:secret:paygrade/prod/key-??????",
        ),
        (
            "ssm:GetParameter",
            f"arn:aws:ssm:{where}:parameter/paygrade/prod/stripe_webhook_secrets",
        ),
    }


def test_policies_are_files_of_the_names_that_the_configuration_has(tmp_path: Path) -> None:
    write_policies(tmp_path, PROD, SETTINGS)
    named = CONFIG["stages"]["prod"]["lambda_functions"]
    assert {path.name for path in tmp_path.iterdir()} == {
        one["iam_policy_file"] for one in named.values()
    }
    sync = json.loads((tmp_path / file_name("prod", "sync")).read_text())
    assert list(FIND) not in [statement["Action"] for statement in sync["Statement"]]


def test_tracing_is_the_one_right_without_a_resource_and_only_where_it_is_on() -> None:
    traced = policy(PROD, "sync", SETTINGS, xray=True)["Statement"][-1]
    assert traced["Action"] == ["xray:PutTraceSegments", "xray:PutTelemetryRecords"]
    assert "xray" not in json.dumps(statements("sync"))


def test_function_without_a_line_is_refused_by_name() -> None:
    with pytest.raises(DeployError, match=r"newcomer.*infra/deploy/policies.py"):
        policy(PROD, "newcomer", SETTINGS)


# --- .chalice/config.json


@pytest.mark.parametrize("stage", STAGES)
def test_stage_configures_every_function_with_its_policy_memory_and_time(stage: str) -> None:
    named = CONFIG["stages"][stage]["lambda_functions"]
    for function in FUNCTIONS:
        assert function in named, f".chalice/config.json lacks {function!r} in the stage {stage!r}"
        assert named[function]["iam_policy_file"] == file_name(stage, function)
        shared = CONFIG["lambda_functions"][function]
        assert shared["lambda_memory_size"] >= 256
        assert shared["lambda_timeout"] <= (29 if function == API_FUNCTION else 60)
    assert set(named) == FUNCTIONS


def test_everything_is_regional_on_arm_with_policies_of_our_own() -> None:
    assert CONFIG["api_gateway_endpoint_type"] == "REGIONAL"
    assert CONFIG["lambda_architecture"] == "arm64"
    assert CONFIG["autogen_policy"] is False
    assert isinstance(CONFIG["minimum_compression_size"], int)


@pytest.mark.parametrize("stage", STAGES)
def test_stage_has_settings_that_the_app_takes_once_it_has_an_address(stage: str) -> None:
    variables = CONFIG["stages"][stage]["environment_variables"]
    taken = load({**variables, "PAYGRADE_PUBLIC_URL": "https://api.example.test"})
    assert (taken.stage, taken.live) == (stage, stage == "prod")
    assert taken.billing_providers == ("stripe",)
    assert CONFIG["stages"][stage]["api_gateway_stage"] == stage  # alarms tell stages apart by it


def test_schedules_run_once_at_a_time_and_queues_as_wide_as_they_are_reserved() -> None:
    for stage in ("staging", "prod"):
        named = CONFIG["stages"][stage]["lambda_functions"]
        for source in app.app.event_sources:
            reserved = named[source.name]["reserved_concurrency"]
            if isinstance(source, SQSEventConfig):
                # Fewer, and Lambda would throttle its own poller: messages would end as dead letters.
                assert reserved >= source.maximum_concurrency
            else:
                assert reserved == 1


def test_queues_hide_a_message_six_times_as_long_as_its_function_may_take() -> None:
    hidden = {
        properties["QueueName"]: properties["VisibilityTimeout"]
        for properties in resources("AWS::SQS::Queue").values()
        if "RedrivePolicy" in properties
    }
    for source in app.app.event_sources:
        if isinstance(source, SQSEventConfig):
            seconds = CONFIG["lambda_functions"][source.name]["lambda_timeout"]
            (name,) = [one for one in hidden if one.endswith(str(source.queue).rpartition("-")[2])]
            assert hidden[name] >= 6 * seconds


KEY_ID = "11111111-2222-3333-4444-555555555555"
KEY_ARN = "arn:aws:kms:eu-west-1:999988887777:key/mrk-0123456789abcdef0123456789abcdef"


def test_only_the_api_signs_and_only_with_the_named_keys() -> None:
    first, other = KEY_ID, KEY_ARN
    for function in GRANTS:
        made = policy(PROD, function, {**SETTINGS, SIGNING_KEYS: f"{first}, {other}"})["Statement"]
        signing = [one for one in made if "kms:Sign" in one["Action"]]
        if function != API_FUNCTION:
            assert signing == []
            continue
        assert signing == [
            {
                "Effect": "Allow",
                "Action": ["kms:Sign", "kms:GetPublicKey"],
                "Resource": [f"arn:aws:kms:eu-central-1:111122223333:key/{first}", other],
            }
        ]
    assert not any("kms:Sign" in one["Action"] for one in statements(API_FUNCTION))


def decrypting(function: str, settings: dict[str, str]) -> list[dict[str, Any]]:
    made = policy(PROD, function, settings)["Statement"]
    return [one for one in made if any(action == "kms:Decrypt" for action in one["Action"])]


def test_key_of_the_stage_opens_for_each_function_just_the_secrets_that_it_reads() -> None:
    where = "eu-central-1:111122223333"
    keys = [f"arn:aws:kms:{where}:key/{KEY_ID}", KEY_ARN]
    stripe_key = {
        "Effect": "Allow",
        "Action": ["kms:Decrypt"],
        "Resource": keys,
        "Condition": {
            "StringLike": {
                SECRET_CONTEXT: [f"arn:aws:secretsmanager:{where}:secret:paygrade/prod/key-??????"]
            }
        },
    }
    parameters = ["stripe_webhook_secrets", "token_secrets"]
    hooks_and_tokens = {
        "Effect": "Allow",
        "Action": ["kms:Decrypt"],
        "Resource": keys,
        "Condition": {
            "StringEquals": {
                PARAMETER_CONTEXT: [
                    f"arn:aws:ssm:{where}:parameter/paygrade/prod/{one}" for one in parameters
                ]
            }
        },
    }
    tokens = {TOKEN_SECRETS: "ssm:/paygrade/prod/token_secrets"}
    settings = SETTINGS | tokens | {SECRETS_KEYS: f"{KEY_ID}, {KEY_ARN}"}
    for function, grants in GRANTS.items():
        expected = [stripe_key] if STRIPE_KEY in grants.secrets else []
        if function == API_FUNCTION:
            expected = [hooks_and_tokens, stripe_key]
        assert decrypting(function, settings) == expected
    assert decrypting("deliver", settings) == []


@pytest.mark.parametrize("function", sorted(GRANTS))
def test_nothing_is_decrypted_without_a_key_or_without_a_secret_that_is_kept_elsewhere(
    function: str,
) -> None:
    assert decrypting(function, SETTINGS) == []
    assert decrypting(function, {STRIPE_KEY: "sk_test_1", SECRETS_KEYS: KEY_ID}) == []


@pytest.mark.parametrize("setting", [SECRETS_KEYS, SIGNING_KEYS])
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        f"{KEY_ID},",
        "alias/paygrade",
        "arn:aws:kms:eu-central-1:111122223333:alias/paygrade",
        f"arn:aws:kms:eu-central-1:111122223333:key/{KEY_ID}/*",
        "arn:aws:kms:*:111122223333:key/*",
        "*",
    ],
)
def test_key_that_is_none_of_kms_makes_no_policy(setting: str, text: str) -> None:
    with pytest.raises(DeployError, match=setting) as refused:
        policy(PROD, API_FUNCTION, SETTINGS | {setting: text})
    assert refused.value.code == "bad_key"


def test_every_function_has_a_log_group_that_forgets() -> None:
    groups = {one["LogGroupName"]: one for one in resources("AWS::Logs::LogGroup").values()}
    for function in FUNCTIONS:
        name = f"/aws/lambda/{PROD.function_name(function)}"
        assert name in groups, f"infra/template.yaml lacks the log group of {function!r}"
        assert groups[name]["RetentionInDays"] == 90
    assert len(groups) == len(FUNCTIONS)
