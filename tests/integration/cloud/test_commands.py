"""`paygrade infra` from the command line, on emulated AWS."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner, Result

from infra.cli.main import app
from infra.cli.stage import stack_of
from infra.deploy.aws import connect


def run(*arguments: str, text: str = "") -> Result:
    return CliRunner().invoke(app, [*arguments, "--json"], input=text)


def said(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(autouse=True)
def _emulated(session: boto3.Session) -> None:
    """Every client goes to the emulator."""


def test_policies_are_written_for_the_account_at_hand(tmp_path: Path) -> None:
    files = said(run("infra", "policies", "--stage", "prod", "--out", str(tmp_path)))["files"]
    assert len(files) == len(list(tmp_path.iterdir()))
    text = (tmp_path / "policy-prod-sync.json").read_text()
    assert "arn:aws:dynamodb:us-east-1:000000000000:table/paygrade-prod-catalog" in text


def test_secret_comes_from_standard_input_and_is_not_said(session: boto3.Session) -> None:
    result = run(
        "infra", "secret", "STRIPE_SECRET_KEY", "--stage", "staging", text="sk_test_x1y2\n"
    )
    assert said(result)["kept"] == "ssm:/paygrade/staging/stripe_secret_key"
    assert "x1y2" not in result.output
    kept = session.client("ssm").get_parameter(
        Name="/paygrade/staging/stripe_secret_key", WithDecryption=True
    )["Parameter"]
    assert (kept["Value"], kept["Type"]) == ("sk_test_x1y2", "SecureString")


@pytest.mark.parametrize(
    ("arguments", "text", "code"),
    [
        (("infra", "secret", "STRIPE_SECRET_KEY", "--stage", "prod"), "sk_test_1", "bad_secret"),
        (("infra", "secret", "STRIPE_SECRET_KEY", "--stage", "dev"), "sk_live_1", "bad_secret"),
        (("infra", "secret", "PAYGRADE_MODE", "--stage", "dev"), "live", "not_a_reference"),
        (("infra", "policies", "--stage", "nowhere"), "", "unknown_stage"),
        (("deploy", "--stage", "nowhere"), "", "unknown_stage"),
        (("infra", "destroy", "--stage", "nowhere"), "", "unknown_stage"),
    ],
)
def test_mistake_is_refused_by_its_code(arguments: tuple[str, ...], text: str, code: str) -> None:
    result = run(*arguments, text=text)
    assert result.exit_code == 1, result.output
    problem = json.loads(result.stdout)
    assert problem["code"] == code
    assert "sk_" not in problem["detail"]


def test_stack_is_compared_made_and_ended_only_by_who_types_its_name() -> None:
    compared = run("infra", "diff", "--stage", "staging")
    assert compared.exit_code == 2, compared.output
    assert any("CatalogTable" in line for line in json.loads(compared.stdout)["changes"])
    assert said(run("infra", "deploy", "--stage", "staging"))["changes"]
    assert said(run("infra", "diff", "--stage", "staging"))["changes"] == []

    refused = run("infra", "destroy", "--stage", "staging", text="stagin\n")
    assert refused.exit_code == 1
    assert "not_confirmed" in refused.stdout
    boto3.client("dynamodb").put_item(
        TableName="paygrade-staging-customers", Item={"pk": {"S": "a"}, "sk": {"S": "b"}}
    )
    held = run("infra", "destroy", "--stage", "staging", "--yes")
    assert json.loads(held.stdout)["code"] == "live_data"


@pytest.mark.parametrize(("signs", "told"), [(None, None), (True, "true"), (False, "false")])
def test_stack_is_told_whether_there_is_a_key_that_signs(*, signs: bool | None, told: str) -> None:
    aws = connect("prod", region=None, profile=None)
    asked: dict[str, str] = {}

    def note(params: dict[str, Any], **_: Any) -> None:
        asked.update({one["ParameterKey"]: one["ParameterValue"] for one in params["Parameters"]})

    # The emulator shows resources of every condition, whatever it is told.
    aws.session.events.register("before-parameter-build.cloudformation.CreateChangeSet", note)
    stack_of(aws, lambda _: None, sign_entitlements=signs).diff()
    assert asked["Stage"] == "prod"
    assert asked.get("SignEntitlements") == told


def test_end_of_what_was_never_there_says_so() -> None:
    ended = run("infra", "destroy", "--stage", "prod", "--yes")
    assert said(ended) == {"stage": "prod", "destroyed": False}
    assert (
        "prod (account 000000000000, us-east-1)"
        in CliRunner().invoke(app, ["infra", "destroy", "--stage", "prod", "--yes"]).stdout
    )
