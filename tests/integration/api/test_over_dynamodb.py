"""The same API over the real store, on moto in this process: what only the database would refuse."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import boto3
import pytest
from moto import mock_aws

import app
from chalicelib.adapters.dynamodb.snapshot_reader import DynamoSnapshotReader
from chalicelib.adapters.dynamodb.store import DynamoStore
from chalicelib.adapters.dynamodb.usage_ledger import DynamoUsageLedger
from chalicelib.domain.api_keys import Scope
from infra.local.resources import TABLE_ARGUMENTS
from infra.local.template import Template
from tests.integration.api.contract import Described, assert_described, assert_problem, operations
from tests.integration.api.shop import MONTHLY, PLAN, stock
from tests.integration.world import Deployment
from tests.unit.api.world import Answer, served

REGION: Final = "us-east-1"
LISTS: Final = [
    one
    for one in operations()
    if {"limit", "cursor"} <= {param["name"] for param in one.operation["parameters"]}
]
FACE: Final = "\N{GRINNING FACE}"


class OverDynamo(Deployment):
    """A deployment whose records are in tables made from the template."""

    def __post_init__(self) -> None:
        super().__post_init__()
        where: dict[str, Any] = {
            "stage": self.environment,
            "region": REGION,
            "endpoint_url": None,
        }
        self.ports = replace(
            self.ports,
            store=DynamoStore(clock=self.clock, **where),
            snapshots=DynamoSnapshotReader(**where),
            usage=DynamoUsageLedger(clock=self.clock, **where),
        )
        self.token = self.new_token(*Scope)


@pytest.fixture(scope="module")
def real() -> Iterator[OverDynamo]:
    environment = pytest.MonkeyPatch()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        environment.setenv(name, "testing")
    template = Template.load({"Stage": "test"})
    with mock_aws():
        client = boto3.client("dynamodb", region_name=REGION)
        for properties in template.resources(
            "AWS::DynamoDB::Table", lambda name, attribute: name
        ).values():
            client.create_table(
                **{argument: properties[argument] for argument in ("TableName", *TABLE_ARGUMENTS)}
            )
        deployment = OverDynamo(app.app)
        with served(deployment):
            stock(deployment)
            yield deployment
    environment.undo()


def path_of(real: OverDynamo, described: Described) -> str:
    path = described.path.replace("{plan_id}", "pro").replace("{addon_id}", "storage")
    path = path.replace("{customer_id}", "acme")
    if "{endpoint_id}" in path:
        [held] = real.send("GET", "/v1/webhook_endpoints").json["data"]
        path = path.replace("{endpoint_id}", held["id"])
    queries = {"/v1/subscriptions": "?customer_id=acme", "/v1/audit_log": "?entity=plan:pro"}
    return path + queries.get(path, "?")


def ask(real: OverDynamo, described: Described, **query: object) -> Answer:
    path = path_of(real, described) + "".join(f"&{name}={value}" for name, value in query.items())
    answer = real.send("GET", path.replace("?&", "?"))
    assert_described(described, answer)
    return answer


def given_cursors(real: OverDynamo) -> dict[str, str]:
    """The cursor of each list that has a second page."""
    cursors = {}
    for described in LISTS:
        cursor = ask(real, described, limit=1).json["next_cursor"]
        if cursor is not None:
            cursors[described.path] = cursor
    return cursors


def spelled(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


KEY: Final = {"pk": {"S": "PLAN"}, "sk": {"S": "pro"}}
OTHER_SHAPES: Final = {
    "null": spelled(None),
    "number": spelled(1),
    "text": spelled("pro"),
    "empty-array": spelled([]),
    "array-of-two": spelled([0, KEY]),
    "array-of-three": spelled([0, KEY, None]),
    "array-of-nulls": spelled([None, None, None]),
    "negative-part": spelled(["x", -1, None]),
    "huge-part": spelled(["x", 10**30, None]),
    "object": spelled({"a": 1, "b": 2, "c": 3}),
    "key-alone": spelled(KEY),
    "key-of-numbers": spelled([0, {"pk": {"N": "1"}, "sk": {"N": "2"}}]),
    "key-empty": spelled([0, {"pk": {"S": ""}, "sk": {"S": ""}}]),
    "half-surrogate": spelled(["\ud800", 0, "\ud800"]),
    "nested-deep": base64.urlsafe_b64encode(b"[" * 900).decode(),
    "not-json": base64.urlsafe_b64encode(b"hello").decode(),
    "not-utf-8": base64.urlsafe_b64encode(b"\xff\xfe").decode(),
    "not-base64": "%21%21%21",
    "pickle": base64.urlsafe_b64encode(b"cos\nsystem\n(S'true'\ntR.").decode(),
}


@pytest.mark.parametrize("cursor", OTHER_SHAPES.values(), ids=OTHER_SHAPES.keys())
def test_cursor_of_another_shape_is_invalid_in_every_list(real: OverDynamo, cursor: str) -> None:
    for described in LISTS:
        answer = ask(real, described, cursor=cursor)
        assert_problem(answer, 422, "invalid")
        assert answer.json["param"] == "cursor"


def test_cursor_leads_on_in_its_own_list_and_nowhere_else(real: OverDynamo) -> None:
    cursors = given_cursors(real)
    assert len(cursors) >= 6
    for giver, cursor in cursors.items():
        for described in LISTS:
            answer = ask(real, described, cursor=cursor)
            assert (answer.status == 200) == (described.path == giver), (giver, described.path)


def test_cursor_tampered_with_leads_to_nothing_of_others(real: OverDynamo) -> None:
    for path, cursor in given_cursors(real).items():
        [described] = [one for one in LISTS if one.path == path]
        everything = {one["id"] for one in ask(real, described, limit=100).json["data"]}
        for index in range(len(cursor)):
            changed = cursor[:index] + ("A" if cursor[index] != "A" else "B") + cursor[index + 1 :]
            answer = ask(real, described, cursor=changed)
            assert answer.status in (200, 422)
            if answer.status == 200:
                assert {one["id"] for one in answer.json["data"]} <= everything
        for cut in range(1, len(cursor)):
            assert ask(real, described, cursor=cursor[:cut]).status in (200, 422)


# As much of everything as its own field allows.
LARGEST: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "id": ("customers", {"id": "x" * 128}),
    "email-ascii": ("customers", {"id": "long", "email": "x" * 310 + "@b.example"}),
    "email-unicode": ("customers", {"id": "face", "email": FACE * 310 + "@b.example"}),
    "email-of-a-long-id": ("customers", {"id": "y" * 128, "email": FACE * 310 + "@b.example"}),
    "name": ("customers", {"id": "name", "name": FACE * 250}),
    "metadata": (
        "customers",
        {"id": "metadata", "metadata": {f"{n:02d}" + FACE * 38: FACE * 500 for n in range(40)}},
    ),
    "feature-values": (
        "features",
        {
            "id": "v",
            "name": "V",
            "type": "enum",
            "values": [f"{n}{FACE * 120}" for n in range(100)],
        },
    ),
    "plan-of-everything": (
        "plans",
        {
            **PLAN,
            "id": "z" * 128,
            "description": FACE * 1000,
            "prices": [{**MONTHLY, "id": f"{n:03d}" + "p" * 125} for n in range(100)],
            "entitlements": [
                {"feature_id": f"{n:03d}" + "f" * 125, "values": [FACE * 128] * 2}
                for n in range(100)
            ],
        },
    ),
    "api-key-name": ("api_keys", {"name": FACE * 250}),
}


def refused(answer: Answer) -> str:
    """By the first fault's name."""
    code: str = answer.json["errors"][0]["code"] if answer.status == 422 else answer.json["code"]
    return code


@pytest.mark.parametrize(("path", "body"), LARGEST.values(), ids=LARGEST.keys())
def test_largest_input_that_the_document_allows_is_stored_or_refused_by_name(
    real: OverDynamo, path: str, body: dict[str, Any]
) -> None:
    [described] = [one for one in operations() if one.name == f"POST /v1/{path}"]
    data = json.dumps(body, ensure_ascii=False).encode()
    answer = real.send("POST", f"/v1/{path}", raw=data)
    assert_described(described, answer)
    assert answer.status == 201 or refused(answer) == "too_large", answer.body
    assert real.monitor.named("api_crash") == []


def test_list_by_largest_address_finds_it_or_nothing(real: OverDynamo) -> None:
    for email in (
        "x" * 310 + "@b.example",
        "%F0%9F%98%80" * 310 + "@b.example",
        "%00",
        "%23",
        "a%23b@c",
    ):
        assert real.send("GET", f"/v1/customers?email={email}").status == 200
