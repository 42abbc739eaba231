"""`paygrade deploy` on emulated AWS: once, twice, after failures, by two at once, and with Stripe's webhook."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.api.problems import Problem
from chalicelib.domain.errors import TooManyRequestsError
from infra.deploy.aws import connect
from infra.deploy.errors import DeployError
from infra.deploy.firewall import OUTPUT, PARAMETER, place_firewall, withdraw_firewall
from infra.deploy.functions import REPORT, complete_mappings
from infra.deploy.policies import GRANTS
from infra.deploy.records import Records
from infra.deploy.removal import data_of, destroy, refuse_live_data
from infra.deploy.stack import Stack
from infra.deploy.throttle import RETRY_AFTER, Throttle, complete_throttle
from infra.deploy.webhook import event_types
from infra.local.environment import aws_variables, variables
from infra.local.ports import free_port
from infra.local.stripe_stand_in import Request, StandIn
from infra.local.stripe_stand_in.server import StandInServer
from tests.integration.cloud.conftest import SERVICES
from tests.integration.cloud.stage import KEY, Stage, new_stage
from tests.integration.deploy.conftest import LAUNCHER, EmulatorWithFunctions


@pytest.fixture(scope="module")
def deployable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An AWS that also takes Chalice's description of an API."""
    folder = tmp_path_factory.mktemp("deployable")
    running = EmulatorWithFunctions(folder, free_port(), services=SERVICES, launcher=LAUNCHER)
    running.start()
    with variables(aws_variables(running.endpoint_url)):
        yield running.endpoint_url
    running.stop()


@pytest.fixture
def stripe() -> Iterator[StandInServer]:
    server = StandInServer(StandIn())
    server.start()
    yield server
    server.stop()
    server.stand_in.close()


@pytest.fixture
def stage(deployable: str, stripe: StandInServer, tmp_path: Path) -> Stage:
    del deployable
    made = new_stage(tmp_path, stripe.url)
    made.keep_key()
    return made


def endpoints(stripe: StandInServer) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {KEY}"}
    request = Request("GET", "/v1/webhook_endpoints", "limit=100", headers, b"")
    found: list[dict[str, Any]] = json.loads(stripe.stand_in.handle(request).body)["data"]
    return found


def test_deployed_once_is_complete_deployed_twice_is_the_same_and_destroyed_is_gone(
    stage: Stage, stripe: StandInServer
) -> None:
    report = stage.deploy()
    functions, mappings, apis = stage.functions(), stage.mappings(), stage.apis()
    assert len(apis) == 1
    assert apis[0] in report.url
    assert {tuple(one["FunctionResponseTypes"]) for one in mappings} == {(REPORT,)}
    for function in functions.values():
        assert function["Environment"]["Variables"]["PAYGRADE_PUBLIC_URL"] == report.url
    assert_throttled(stage, apis[0])
    roles = {function["Role"] for function in functions.values()}
    assert len(roles) == len(functions)
    (endpoint,) = endpoints(stripe)
    assert endpoint["url"] == f"{report.url}/v1/webhooks/stripe"
    assert sorted(endpoint["enabled_events"]) == event_types()
    (secret,) = stage.webhook_secrets()
    assert secret.startswith("whsec_")

    stage.forget_locally()
    again = stage.deploy()
    assert {step.name: step.changes for step in again.steps} == dict.fromkeys(
        [step.name for step in again.steps], ()
    )
    assert again.url == report.url
    assert (stage.functions(), stage.apis()) == (functions, apis)
    assert [one["UUID"] for one in stage.mappings()] == [one["UUID"] for one in mappings]
    assert len(endpoints(stripe)) == 1
    assert stage.webhook_secrets() == [secret]

    first = stage.mappings()[0]
    doubled = {"EventSourceArn": first["EventSourceArn"], "FunctionName": first["FunctionArn"]}
    with contextlib.suppress(ClientError):  # AWS refuses it; a race has made it all the same
        stage.aws.client("lambda").create_event_source_mapping(**doubled, BatchSize=1)
    complete_mappings(stage.aws, stage.record(), GRANTS)
    assert [one["UUID"] for one in stage.mappings()] == [one["UUID"] for one in mappings]

    assert_destroyed(stage, stripe)


def assert_throttled(stage: Stage, api: str) -> None:
    def settings() -> tuple[float, int]:
        client = stage.aws.client("apigateway")
        found = client.get_stage(restApiId=api, stageName=stage.aws.place.stage)
        of_all = found["methodSettings"]["*/*"]
        return of_all["throttlingRateLimit"], of_all["throttlingBurstLimit"]

    assert settings() == (1000, 2000)
    place = (stage.aws, stage.record(), stage.aws.place.stage)
    # Chalice's next deployment overwrites the API; what the gateway shows of it may be out of date.
    client = stage.aws.client("apigateway")
    client.delete_gateway_response(restApiId=api, responseType="THROTTLED")
    assert len(complete_throttle(*place, Throttle(per_second=5, burst=7))) == 1
    assert settings() == (5, 7)
    complete_throttle(*place, Throttle())
    assert complete_throttle(*place, Throttle()) == []
    refusal = stage.aws.client("apigateway").get_gateway_response(
        restApiId=api, responseType="THROTTLED"
    )
    assert refusal["statusCode"] == "429"
    assert refusal["responseParameters"] == RETRY_AFTER
    problem = Problem.model_validate_json(refusal["responseTemplates"]["application/json"])
    assert (problem.status, problem.code) == (429, TooManyRequestsError.code)


def assert_destroyed(stage: Stage, stripe: StandInServer) -> None:
    name = f"paygrade-{stage.aws.place.stage}-customers"
    item = {"pk": {"S": "CUST#acme"}, "sk": {"S": "PROFILE"}}
    stage.aws.client("dynamodb").put_item(TableName=name, Item=item)
    (found,) = data_of(stage.aws)
    with pytest.raises(DeployError, match=f"{name} holds data(.|\n)*--delete-data"):
        refuse_live_data(stage.aws.place.stage, [found])
    stage.destroy()
    stage.destroy()
    assert (stage.functions(), stage.mappings(), stage.apis()) == ({}, [], [])
    assert endpoints(stripe) == []
    assert data_of(stage.aws) == []
    tables = stage.aws.client("dynamodb").list_tables()["TableNames"]
    assert not [table for table in tables if table.startswith(stage.aws.place.stack_name)]
    buckets = [one["Name"] for one in stage.aws.client("s3").list_buckets()["Buckets"]]
    assert stage.aws.place.bucket not in buckets


# After the first mappings, and after the API: what Chalice has made by then stands in no record of its own.
@pytest.mark.parametrize("broken", ["put_rule", "update_rest_api"])
def test_deployment_that_failed_half_way_is_finished_by_the_next_without_a_second_of_anything(
    stage: Stage, broken: str
) -> None:
    working = stage.tools
    program = (Path(__file__).with_name("failing_chalice.py"), broken)
    stage.tools = replace(working, chalice=(working.chalice[0], *map(str, program)))
    with pytest.raises(DeployError, match=f"{broken} is broken"):
        stage.deploy()
    assert "sync-sqs-event-source" in {one["name"] for one in stage.record()["resources"]}

    stage.forget_locally()
    stage.tools = working
    stage.deploy()
    queues = [one["EventSourceArn"] for one in stage.mappings()]
    assert len(queues) == len(set(queues))
    assert len(stage.apis()) == 1
    names = {one["name"] for one in stage.record()["resources"]}
    assert {"rest_api", "sync-sqs-event-source", "sweep_outbox-event"} <= names


@pytest.mark.parametrize("key", ["sk_live_mistake", "rk_live_mistake", "whsec_what"])
def test_key_of_the_other_mode_is_refused_before_anything_is_made(stage: Stage, key: str) -> None:
    name = f"/paygrade/{stage.aws.place.stage}/stripe_secret_key"
    stage.aws.client("ssm").put_parameter(Name=name, Value=key, Type="SecureString", Overwrite=True)
    with pytest.raises(DeployError, match="STRIPE_SECRET_KEY") as refused:
        stage.deploy()
    assert key not in str(refused.value)
    assert stage.functions() == {}


def test_key_that_is_missing_is_asked_for_by_the_command_that_keeps_it(
    deployable: str, stripe: StandInServer, tmp_path: Path
) -> None:
    del deployable
    with pytest.raises(DeployError, match="paygrade infra secret STRIPE_SECRET_KEY"):
        new_stage(tmp_path, stripe.url).deploy()


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"PAYGRADE_DUPLICATES": "refnd"}, "PAYGRADE_DUPLICATES is 'refund' or 'report'"),
        ({"PAYGRADE_MODE": "live", "PAYGRADE_TEST_CLOCK": "on"}, "PAYGRADE_TEST_CLOCK"),
        ({"PAYGRADE_CHECKOUTS_PER_MINUTE": "many"}, "PAYGRADE_CHECKOUTS_PER_MINUTE"),
        ({"PAYGRADE_BILLING_PROVIDERS": "stripe,paddle"}, "'paddle'"),
        ({"PAYGRADE_RECONCILE_MINUTES": "hourly"}, "PAYGRADE_RECONCILE_MINUTES"),
        ({"PAYGRADE_STAGE": "prod"}, "another stage's data"),
        ({"PAYGRADE_TOKEN_SECRETS": "short"}, "PAYGRADE_TOKEN_SECRETS"),
        ({"STRIPE_WEBHOOK_SECRETS": "whsec_literal"}, "STRIPE_WEBHOOK_SECRETS.*no reference"),
    ],
)
def test_settings_that_the_functions_would_not_start_with_are_refused_before_anything_is_made(
    deployable: str,
    stripe: StandInServer,
    tmp_path: Path,
    variables: dict[str, str],
    told: str,
) -> None:
    del deployable
    stage = new_stage(tmp_path, stripe.url, **variables)
    if variables.get("PAYGRADE_MODE") != "live":
        stage.keep_key()
    with pytest.raises(DeployError, match=told):
        stage.deploy()
    assert Stack(stage.aws, stage.told.append).state() is None
    assert endpoints(stripe) == []


def test_second_deployer_is_refused_before_the_stack_is_touched(stage: Stage) -> None:
    stage.deploy()
    topic = stage.aws.client("sns").create_topic(Name="alarms")["TopicArn"]
    with (
        Records(stage.aws).locked(),
        pytest.raises(DeployError, match="--take-over"),
    ):
        stage.deploy(alarm_topic=topic)
    assert Stack(stage.aws, stage.told.append).diff(topic) != []
    with Records(stage.aws).locked(), pytest.raises(DeployError, match="--take-over"):
        stage.destroy()
    assert stage.functions()


def test_functions_that_cloudformation_made_are_left_to_it(stage: Stage) -> None:
    stage.deploy()
    functions = stage.functions()
    arn = stage.aws.place.arn("lambda", f"function:{stage.aws.place.function_name('api_handler')}")
    stage.aws.client("lambda").tag_resource(
        Resource=arn, Tags={"aws:cloudformation:stack-name": "of-the-second-way"}
    )
    with pytest.raises(DeployError, match="belong to the CloudFormation stack 'of-the-second-way'"):
        stage.deploy()
    with pytest.raises(DeployError, match="belong to the CloudFormation stack"):
        stage.destroy()
    assert stage.functions() == functions


def test_functions_go_back_without_the_stack(stage: Stage) -> None:
    with pytest.raises(DeployError, match="without --no-stack"):
        stage.deploy(stack=False)
    stage.deploy()
    topic = stage.aws.client("sns").create_topic(Name="alarms")["TopicArn"]
    report = stage.deploy(stack=False, alarm_topic=topic)
    assert "stack" not in {step.name for step in report.steps}
    assert Stack(stage.aws, stage.told.append).diff(topic) != []


def test_stage_of_another_region_is_neither_deployed_nor_destroyed_here(stage: Stage) -> None:
    stage.deploy()
    there = stage.aws
    stage.aws = connect(there.place.stage, region="eu-central-1", profile=None)
    elsewhere = "is in us-east-1, not in eu-central-1"
    with pytest.raises(DeployError, match=elsewhere):
        stage.deploy()
    with pytest.raises(DeployError, match=elsewhere):
        destroy(stage.root, stage.aws, stage.told.append)
    stage.aws = there
    assert stage.record()["resources"]


def test_stage_whose_key_may_not_write_endpoints_is_ended_without(
    stage: Stage, stripe: StandInServer
) -> None:
    stage.deploy()
    fault = {"method": "GET", "path": "/v1/webhook_endpoints", "kind": "403"}
    asked = Request("POST", "/_stand_in/faults", "", {}, json.dumps(fault).encode())
    assert stripe.stand_in.handle(asked).status == 200
    with pytest.raises(DeployError, match="destroy with --no-webhook"):
        stage.destroy()
    assert stage.functions()
    destroy(stage.root, stage.aws, stage.told.append, command=stage.tools.chalice, poll_seconds=0.1)
    assert stage.functions() == {}


def test_firewall_stands_before_the_api_if_wanted_and_goes_before_the_stack_drops_it(
    stage: Stage,
) -> None:
    def stack(requests: int) -> Stack:
        parameters = {PARAMETER: str(requests)}
        return Stack(stage.aws, stage.told.append, parameters=parameters, poll_seconds=0.1)

    record = {"resources": [{"resource_type": "rest_api", "rest_api_id": "abc"}]}
    place = (stage.aws, record, stage.aws.place.stage)
    wanted = stack(2000)
    wanted.deploy()
    firewall = wanted.outputs()[OUTPUT]
    assert len(place_firewall(*place, firewall)) == 1
    assert place_firewall(*place, firewall) == []
    withdraw_firewall(stage.aws, firewall)
    withdraw_firewall(stage.aws, firewall)
    dropped = stack(0)
    assert len(dropped.deploy()) == 1
    assert OUTPUT not in dropped.outputs()
    withdraw_firewall(stage.aws, firewall)
    assert place_firewall(*place, None) == []
