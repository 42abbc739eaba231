"""What stands in the log, and which metrics CloudWatch makes of it."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import app as deployed
from chalicelib import telemetry
from chalicelib.telemetry import LOGGED_FIELDS, METRICS, LogMonitor
from infra.local.template import TEMPLATE_PATH
from tests.fakes.system import START, FakeClock

ROOT = Path(telemetry.__file__).parents[1]
CHECK = "/v1/customers/{customer_id}/entitlements/{feature_id}"
WEBHOOK = "/v1/webhooks/stripe"


def logged(event: str, **fields: Any) -> dict[str, Any]:
    lines: list[str] = []
    LogMonitor(stage="prod", clock=FakeClock(), write=lines.append).event(event, **fields)
    (line,) = lines
    found: dict[str, Any] = json.loads(line)
    return found


def metrics(event: str, **fields: Any) -> dict[str, float]:
    line = logged(event, **fields)
    if "_aws" not in line:
        return {}
    (declared,) = line["_aws"]["CloudWatchMetrics"]
    assert declared["Namespace"] == "Paygrade"
    assert declared["Dimensions"] == [["stage"]]
    assert line["stage"] == "prod"
    assert line["_aws"]["Timestamp"] == int(START.timestamp() * 1000)
    return {metric["Name"]: line[metric["Name"]] for metric in declared["Metrics"]}


def test_event_is_one_line_with_its_fields_and_no_metric_unless_declared() -> None:
    assert logged("swept", sync_tasks=2) == {"stage": "prod", "event": "swept", "sync_tasks": 2}


def test_field_outside_the_allow_list_is_named_without_its_value() -> None:
    line = logged("api_request", status=200, email="ann@acme.example", body="secret")
    assert line["dropped_fields"] == "body,email"
    assert "acme" not in json.dumps(line)
    assert "secret" not in json.dumps(line)


@pytest.mark.parametrize(
    ("route", "status", "expected"),
    [
        (CHECK, 200, {"check_duration_ms": 4.5}),
        (CHECK.rpartition("/")[0], 200, {"check_duration_ms": 4.5}),
        (CHECK, 503, {"check_duration_ms": 4.5, "checks_failed": 1}),
        (WEBHOOK, 200, {"webhooks_taken": 1}),
        (WEBHOOK, 400, {"webhooks_refused": 1}),
        (WEBHOOK, 503, {"webhooks_failed": 1}),
        ("/v1/plans", 500, {}),
    ],
)
def test_request_is_counted_by_what_it_was(
    route: str, status: int, expected: dict[str, float]
) -> None:
    assert metrics("api_request", route=route, status=status, duration_ms=4.5) == expected


@pytest.mark.parametrize(
    ("event", "fields", "expected"),
    [
        ("backlog", {"oldest_pending_seconds": 7}, {"oldest_pending_seconds": 7}),
        ("reconciliation_ended", {"status": "succeeded"}, {"reconciliations_succeeded": 1}),
        ("reconciliation_ended", {"status": "failed"}, {"reconciliations_failed": 1}),
        ("billing_event_failed", {}, {"billing_events_failed": 1}),
        ("billing_event_quarantined", {}, {"billing_events_failed": 1}),
        ("sync_failed", {}, {"sync_failed": 1}),
        ("drift", {}, {"drifts": 1}),
    ],
)
def test_event_makes_its_metric(
    event: str, fields: dict[str, Any], expected: dict[str, float]
) -> None:
    assert metrics(event, **fields) == expected


def test_routes_that_are_measured_are_routes_of_the_app() -> None:
    assert {CHECK, CHECK.rpartition("/")[0], WEBHOOK} <= set(deployed.app.routes)


def test_template_looks_at_every_metric_and_at_no_other() -> None:
    text = TEMPLATE_PATH.read_text()
    document = yaml.load(text, _loader())
    alarmed = {
        resource["Properties"]["MetricName"]
        for resource in document["Resources"].values()
        if resource["Properties"].get("Namespace") == telemetry.NAMESPACE
    }
    declared = {metric.name for found in METRICS.values() for metric in found}
    assert alarmed <= declared
    unseen = {name for name in declared if f'"{name}"' not in text and name not in alarmed}
    assert not unseen, f"nobody looks at the metrics {unseen}: each costs money every month"


def _loader() -> type[yaml.SafeLoader]:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, tag, node: f"!{tag}")
    return Loader


def test_every_field_that_the_code_logs_is_on_the_allow_list() -> None:
    missing = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {keyword.arg}"
        for path in sorted((ROOT / "chalicelib").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "event"
        and ast.unparse(node.func.value).endswith("monitor")
        for keyword in node.keywords
        if keyword.arg is not None and keyword.arg not in LOGGED_FIELDS
    ]
    assert not missing, f"add them to LOGGED_FIELDS of chalicelib/telemetry.py: {missing}"
