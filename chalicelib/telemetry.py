"""The structured log: one JSON object a line, with fields from an allow-list, and the few metrics made of it.

CloudWatch reads metrics out of log lines (embedded metric format), so that no call is made for them. A metric costs
money each month, so there are only those that an alarm or the dashboard of infra/template.yaml looks at; everything
else is found in the log.
"""

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from chalicelib.ports import Clock

Field = str | float | bool | None
Fields = Mapping[str, Field]

NAMESPACE: Final = "Paygrade"

# What may stand in a log: names, ids, codes and numbers of ours. Nothing else gets in, whoever passes it: no payload,
# no header, no text of a customer or a provider. Ids are what callers chose: if that is an address, so it stands there.
LOGGED_FIELDS: Final = frozenset(
    {
        "action",
        "amount_minor",
        "billing_events",
        "billing_id",
        "charges",
        "chore",
        "code",
        "customer",
        "customer_id",
        "deliveries",
        "duration_ms",
        "endpoint_id",
        "entity",
        "error",
        "event_id",
        "event_type",
        "frames",
        "impact_of",
        "kind",
        "message_id",
        "method",
        "migration_id",
        "number",
        "oldest_pending_seconds",
        "outbound_events",
        "package",
        "package_id",
        "phase",
        "provider",
        "reason",
        "reconciliation_id",
        "request_id",
        "response_status",
        "route",
        "status",
        "subscription_id",
        "sync_tasks",
        "task_id",
        "unreadable",
        "why",
        "worker",
    }
)

_CHECK: Final = re.compile(r"/v1/customers/\{customer_id\}/entitlements(/\{feature_id\})?")
_WEBHOOK: Final = re.compile(r"/v1/webhooks/.+")
_SERVER_ERROR: Final = 500
_CLIENT_ERROR: Final = 400


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that an event may hold; of each event's fields it is this one, or None: then there is no datum."""

    name: str
    unit: str
    value: Callable[[Fields], float | None]


def _one_if(test: Callable[[Fields], bool]) -> Callable[[Fields], float | None]:
    return lambda fields: 1 if test(fields) else None


def _always(_: Fields) -> float:
    return 1


def _is(pattern: re.Pattern[str], fields: Fields) -> bool:
    return _fits(pattern, str(fields.get("route", "")))


@cache
def _fits(pattern: re.Pattern[str], route: str) -> bool:
    """There are as many routes as the API has, and every request asks."""
    return pattern.fullmatch(route) is not None


def _status(fields: Fields) -> int:
    status = fields.get("status")
    return status if isinstance(status, int) else 0


def _check_duration(fields: Fields) -> float | None:
    duration = fields.get("duration_ms")
    return duration if _is(_CHECK, fields) and isinstance(duration, int | float) else None


def _oldest_pending(fields: Fields) -> float | None:
    age = fields.get("oldest_pending_seconds")
    return age if isinstance(age, int | float) else None


# Every metric there is, by the event that it is made of.
METRICS: Final[Mapping[str, tuple[Metric, ...]]] = {
    "api_request": (
        Metric("check_duration_ms", "Milliseconds", _check_duration),
        Metric(
            "checks_failed",
            "Count",
            _one_if(lambda f: _is(_CHECK, f) and _status(f) >= _SERVER_ERROR),
        ),
        Metric(
            "webhooks_taken",
            "Count",
            _one_if(lambda f: _is(_WEBHOOK, f) and _status(f) < _CLIENT_ERROR),
        ),
        Metric(
            "webhooks_refused",
            "Count",
            _one_if(lambda f: _is(_WEBHOOK, f) and _CLIENT_ERROR <= _status(f) < _SERVER_ERROR),
        ),
        Metric(
            "webhooks_failed",
            "Count",
            _one_if(lambda f: _is(_WEBHOOK, f) and _status(f) >= _SERVER_ERROR),
        ),
    ),
    "backlog": (Metric("oldest_pending_seconds", "Seconds", _oldest_pending),),
    "billing_account_revoked": (Metric("billing_events_failed", "Count", _always),),
    "billing_event_failed": (Metric("billing_events_failed", "Count", _always),),
    "billing_event_given_up": (Metric("billing_events_failed", "Count", _always),),
    "billing_event_quarantined": (Metric("billing_events_failed", "Count", _always),),
    "drift": (Metric("drifts", "Count", _always),),
    "duplicate_settled": (Metric("duplicates_settled", "Count", _always),),
    "reconciliation_ended": (
        Metric("reconciliations_succeeded", "Count", _one_if(lambda f: f["status"] == "succeeded")),
        Metric("reconciliations_failed", "Count", _one_if(lambda f: f["status"] == "failed")),
    ),
    "usage_charge_failed": (Metric("usage_charges_failed", "Count", _always),),
    "sync_failed": (Metric("sync_failed", "Count", _always),),
}


def _to_stdout(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class LogMonitor:
    """A `Monitor` that writes a line for each event; those of `METRICS` are metrics, too."""

    stage: str
    clock: Clock
    write: Callable[[str], None] = _to_stdout

    def event(self, name: str, **fields: Field) -> None:
        """The event stands in the log. Fields that may not are named there, without their values."""
        kept = {field: value for field, value in fields.items() if field in LOGGED_FIELDS}
        line: dict[str, Any] = {"stage": self.stage, "event": name, **kept}
        if len(kept) != len(fields):
            line["dropped_fields"] = ",".join(sorted(fields.keys() - kept.keys()))
        line |= self._measured(name, kept)
        self.write(json.dumps(line, default=str))

    def _measured(self, name: str, fields: Fields) -> dict[str, Any]:
        """The event's metrics in CloudWatch's embedded metric format, if it has any.

        https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
        """
        measured = {
            metric: value
            for metric in METRICS.get(name, ())
            if (value := metric.value(fields)) is not None
        }
        if not measured:
            return {}
        declared = {
            "Namespace": NAMESPACE,
            "Dimensions": [["stage"]],
            "Metrics": [{"Name": metric.name, "Unit": metric.unit} for metric in measured],
        }
        timestamp = int(self.clock.now().timestamp() * 1000)
        return {
            "_aws": {"Timestamp": timestamp, "CloudWatchMetrics": [declared]},
            **{metric.name: value for metric, value in measured.items()},
        }
