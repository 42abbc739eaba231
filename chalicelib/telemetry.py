"""The structured log: one JSON object a line, which CloudWatch also reads as metrics (embedded metric format)."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from chalicelib.ports import Clock

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
_NAMESPACE: Final = "Paygrade"
_TIMED: Final = "duration_ms"


def _to_stdout(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class LogMonitor:
    """A `Monitor` that writes a line for each event; its count, and its duration if it has one, are metrics."""

    stage: str
    clock: Clock
    write: Callable[[str], None] = _to_stdout

    def event(self, name: str, **fields: str | float | bool | None) -> None:
        """The event stands in the log, counted under its name."""
        metrics = [{"Name": "count", "Unit": "Count"}]
        if _TIMED in fields:
            metrics.append({"Name": _TIMED, "Unit": "Milliseconds"})
        line = {
            "_aws": {
                "Timestamp": int(self.clock.now().timestamp() * 1000),
                "CloudWatchMetrics": [
                    {
                        "Namespace": _NAMESPACE,
                        "Dimensions": [["stage", "event"]],
                        "Metrics": metrics,
                    }
                ],
            },
            "stage": self.stage,
            "event": name,
            "count": 1,
            **fields,
        }
        self.write(json.dumps(line, default=str))
