"""The other way to deploy: the built project as a CloudFormation template (`chalice package`), with our additions."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from chalicelib.ports import QueueName
from infra.deploy.throttle import REFUSAL, Throttle
from tests.integration.deploy.checkout import ROOT, Checkout

STAGE = "packaged"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cloudformation")
    variables = {"PAYGRADE_PUBLIC_URL": "https://paygrade.example.test"}
    # Nobody is asked: making a template needs no AWS.
    checkout = Checkout(folder / "checkout", STAGE, "http://127.0.0.1:1", variables)
    checkout.build()
    out = folder / "out"
    merge = str(ROOT / "infra" / "merge.yaml")
    checkout.chalice("package", "--merge-template", merge, str(out))
    return out / "sam.yaml"


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
    refusal = api["GatewayResponses"]["THROTTLED"]
    assert refusal["ResponseParameters"]["Headers"] == {"Retry-After": "'1'"}
    assert refusal["ResponseTemplates"] == REFUSAL


def test_additions_make_no_function_of_their_own(functions: dict[str, Any]) -> None:
    for name, function in functions.items():
        assert {"Handler", "CodeUri", "Role", "Runtime"} <= function.keys(), name


def test_all_functions_are_of_one_package(functions: dict[str, Any], template: Path) -> None:
    assert {one["CodeUri"] for one in functions.values()} == {"./deployment.zip"}
    assert (template.parent / "deployment.zip").stat().st_size < 12_000_000
