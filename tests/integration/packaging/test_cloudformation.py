"""The other way to deploy: the built project as a CloudFormation template (`chalice package`), with our additions."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib.ports import QueueName
from infra.deploy.place import Place
from infra.deploy.policies import GRANTS, policy
from infra.deploy.throttle import REFUSAL, Throttle
from infra.local.template import Template
from tests.integration.deploy.checkout import ROOT, Checkout

STAGE = "packaged"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    folder = tmp_path_factory.mktemp("cloudformation")
    variables = {"PAYGRADE_PUBLIC_URL": "https://paygrade.example.test"}
    # Nobody is asked: making a template needs no AWS.
    checkout = Checkout(folder / "checkout", STAGE, "http://127.0.0.1:1", variables)
    checkout.build("build/package")
    (checkout.folder / ".venv").symlink_to(sys.prefix)
    (checkout.folder / "infra").symlink_to(ROOT / "infra")
    return checkout


@pytest.fixture(scope="module")
def template(checkout: Checkout) -> Path:
    """Made in the checkout by the very command of the page for operators."""
    page = (ROOT / "infra" / "docs" / "packaging.md").read_text()
    (command,) = re.findall(r"^\.venv/bin/chalice .* package (?:.*\\\n)*.*$", page, re.MULTILINE)
    done = subprocess.run(
        ["bash", "-euc", command],
        cwd=checkout.folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(checkout.folder),
            "AWS_DEFAULT_REGION": "us-east-1",
            "STAGE": STAGE,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout.folder / "build" / "cloudformation" / "sam.yaml"


@pytest.fixture(scope="module")
def functions(template: Path) -> dict[str, Any]:
    resources = yaml.safe_load(template.read_text())["Resources"]
    return {
        name: one["Properties"]
        for name, one in resources.items()
        if one["Type"] == "AWS::Serverless::Function"
    }


def test_template_passes_cfn_lint(template: Path) -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("cfn-lint")), str(template)],
        env={"PATH": os.environ["PATH"], "HOME": str(template.parent)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def named(function: dict[str, Any]) -> str:
    """What the function is called in the stack of this stage."""
    name: str = function["FunctionName"]["Fn::Sub"]
    return name.replace("${Stage}", STAGE)


def test_functions_are_called_as_chalice_deploy_calls_them(
    functions: dict[str, Any], checkout: Checkout
) -> None:
    # Terraform's is the one template in which Chalice writes down the names that `chalice deploy` gives.
    out = checkout.folder.parent / "names"
    checkout.chalice("package", "--pkg-format", "terraform", str(out))
    resources = json.loads((out / "chalice.tf.json").read_text())["resource"]
    deployed = resources["aws_lambda_function"].values()
    assert {one["Handler"]: named(one) for one in functions.values()} == {
        one["handler"]: one["function_name"] for one in deployed
    }


def test_every_function_may_write_to_a_log_group_that_there_is(functions: dict[str, Any]) -> None:
    place = Place(stage=STAGE, account="111122223333", region="us-east-1")
    policies = {name: json.dumps(policy(place, name, {})) for name in GRANTS}
    stack = Template.load({"Stage": STAGE}).resources("AWS::Logs::LogGroup", lambda _, name: name)
    groups = {group["LogGroupName"] for group in stack.values()}
    wanted = {f"/aws/lambda/{named(one)}" for one in functions.values()}
    assert wanted == groups
    for group in wanted:
        assert [name for name in policies if f":log-group:{group}:*" in policies[name]], group


def test_stage_has_to_be_named(template: Path) -> None:
    parameters = yaml.safe_load(template.read_text())["Parameters"]
    assert [name for name in parameters if "Default" not in parameters[name]] == ["Stage"]


def test_every_queue_reports_failures_one_by_one(functions: dict[str, Any]) -> None:
    sources = {
        event["Properties"]["Queue"]["Fn::Sub"].rpartition(":")[2]: event["Properties"]
        for function in functions.values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "SQS"
    }
    assert sources.keys() == {f"paygrade-{STAGE}-{queue}.fifo" for queue in QueueName}
    for queue, source in sources.items():
        assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"], queue


def test_gateway_is_throttled_and_says_when_to_come_back(template: Path) -> None:
    api = yaml.safe_load(template.read_text())["Resources"]["RestAPI"]["Properties"]
    (of_all,) = api["MethodSettings"]
    assert (of_all["HttpMethod"], of_all["ResourcePath"]) == ("*", "/*")
    limits = Throttle(
        per_second=of_all["ThrottlingRateLimit"], burst=of_all["ThrottlingBurstLimit"]
    )
    assert limits == Throttle()
    # Or SAM would make another stage of the same API, without these limits.
    assert api["OpenApiVersion"] == api["DefinitionBody"]["swagger"]
    refusal = api["GatewayResponses"]["THROTTLED"]
    assert refusal["ResponseParameters"]["Headers"] == {"Retry-After": "'1'"}
    assert refusal["ResponseTemplates"] == REFUSAL


def test_additions_make_no_function_of_their_own(functions: dict[str, Any]) -> None:
    for name, function in functions.items():
        assert {"Handler", "CodeUri", "Role", "Runtime"} <= function.keys(), name


def test_all_functions_are_of_one_package(functions: dict[str, Any], template: Path) -> None:
    assert {one["CodeUri"] for one in functions.values()} == {"./deployment.zip"}
    assert (template.parent / "deployment.zip").stat().st_size < 12_000_000
