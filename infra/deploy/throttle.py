"""How much the gateway lets through to the API, whoever asks: the limit that holds for all containers together.

`chalice deploy` can't say it, and leaves it alone when it deploys again: it is a setting of API Gateway's stage.
API Gateway counts each route by itself, so that no flood of checks keeps Stripe's webhooks out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from infra.deploy.aws import Aws
from infra.deploy.errors import DeployError
from infra.deploy.records import Record

PER_SECOND: Final = "PAYGRADE_GATEWAY_PER_SECOND"
BURST: Final = "PAYGRADE_GATEWAY_BURST"
_EVERY_ROUTE: Final = "*/*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """Requests of each route that are let through in a second, and at once."""

    per_second: int = 1000
    burst: int = 2000

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "Throttle":
        """Raises `DeployError` for a variable that is no whole number of at least 1."""
        return cls(
            per_second=_count(variables, PER_SECOND, cls().per_second),
            burst=_count(variables, BURST, cls().burst),
        )


def complete_throttle(
    aws: Aws, record: Record, gateway_stage: str, throttle: Throttle
) -> list[str]:
    """The gateway lets so much through and no more; what was changed for that."""
    client = aws.client("apigateway")
    changed: list[str] = []
    for api in record["resources"]:
        if api["resource_type"] != "rest_api":
            continue
        place = {"restApiId": api["rest_api_id"], "stageName": gateway_stage}
        found: dict[str, Any] = client.get_stage(**place).get("methodSettings", {})
        now = found.get(_EVERY_ROUTE, {})
        if (now.get("throttlingRateLimit"), now.get("throttlingBurstLimit")) == (
            throttle.per_second,
            throttle.burst,
        ):
            continue
        limits = {"rateLimit": throttle.per_second, "burstLimit": throttle.burst}
        client.update_stage(
            **place,
            patchOperations=[
                {
                    "op": "replace",
                    "path": f"/{_EVERY_ROUTE}/throttling/{name}",
                    "value": str(limit),
                }
                for name, limit in limits.items()
            ],
        )
        changed.append(
            f"the gateway lets {throttle.per_second} requests a second through on each route,"
            f" {throttle.burst} at once"
        )
    return changed


def _count(variables: Mapping[str, str], name: str, default: int) -> int:
    text = variables.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise DeployError(f"{name} is a whole number of at least 1.")
    return int(text)
