"""What a whole life of an environment leaves in the log: enough to follow it, and nothing that is nobody's business."""

import json
import re
from typing import Any

import pytest

from infra.deploy.policies import GRANTS
from tests.integration.cloud.functions import Functions

# Twelve kinds of what must never be written down.
SECRETS = {
    "Stripe secret key": r"[sr]k_(test|live)_",
    "Stripe webhook secret": r"whsec_",
    "Stripe signature": r"t=\d+,v1=",
    "Stripe client secret": r"_secret_[A-Za-z0-9]{8}",
    "our secret key": r"pg_sk_",
    "our publishable key": r"pg_pk_",
    "bearer token": r"[Bb]earer ",
    "signed token": r"eyJ[A-Za-z0-9_-]{10,}\.",
    "AWS access key": r"\b(AKIA|ASIA)[A-Z0-9]{16}\b",
    "AWS signature": r"AWS4-HMAC-SHA256|X-Amz-Security-Token",
    "email address": r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z]{2,}",
    "card number": r"\b(?:\d[ -]?){13,19}\b",
}


def lines(running: Functions) -> list[dict[str, Any]]:
    text = running.log.getvalue()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


@pytest.mark.parametrize("kind", SECRETS)
def test_log_holds_no_secret_of_this_kind(lived: Functions, kind: str) -> None:
    # Timestamps of metrics are long numbers and no cards; the ids of messages may be digits and hyphens by chance.
    text = re.sub(r'"Timestamp": \d+', "", lived.log.getvalue())
    text = re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "", text)
    assert text
    shown = [line[:300] for line in text.splitlines() if re.search(SECRETS[kind], line)]
    assert not shown, f"the log shows a {kind}: {shown[0]}"


def test_log_drops_no_field_that_the_code_meant_to_write(lived: Functions) -> None:
    dropped = {line["dropped_fields"] for line in lines(lived) if "dropped_fields" in line}
    assert not dropped


def test_request_leaves_who_what_and_how_long(lived: Functions) -> None:
    requests = [line for line in lines(lived) if line["event"] == "api_request"]
    assert all({"request_id", "route", "status", "duration_ms"} <= set(line) for line in requests)
    checks = [line for line in requests if line["route"].endswith("/entitlements/{feature_id}")]
    assert {line["customer_id"] for line in checks} == {"acme"}
    assert all(line["_aws"]["CloudWatchMetrics"] for line in checks)


def test_message_leaves_its_worker_its_id_and_what_it_was_about(lived: Functions) -> None:
    handled = [line for line in lines(lived) if line["event"] == "message_handled"]
    workers = {name for name, grants in GRANTS.items() if grants.works_off}
    assert {line["worker"] for line in handled} == workers
    ids = {"task_id", "event_id", "reconciliation_id", "migration_id", "package_id"}
    for line in handled:
        assert line["message_id"]
        assert line["worker"] == "deliver" or ids & set(line)


def test_schedules_leave_the_backlog_and_the_end_of_each_reconciliation(lived: Functions) -> None:
    events = {line["event"] for line in lines(lived)}
    assert {"backlog", "reconciliation_ended"} <= events
