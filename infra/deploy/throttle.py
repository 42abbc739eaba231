"""How much the gateway lets through to the API, whoever asks: the limit that holds for all containers together.

`chalice deploy` can't say it: it is a setting of API Gateway's stage, and of what the gateway answers by itself.
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
_THROTTLED: Final = "THROTTLED"
RETRY_AFTER: Final = {"gatewayresponse.header.Retry-After": "'1'"}
# As the API's own (chalicelib/api/problems.py); `$context` is the gateway's.
REFUSAL: Final = {
    "application/json": '{"type":"/docs/problems#too_many_requests","title":"Too many requests","status":429,'
    '"detail":"Too many requests at once; slow down.","code":"too_many_requests",'
    '"request_id":"$context.requestId"}'
}


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
    """The gateway lets so much through and tells the others when to come back; what was changed for that."""
    client = aws.client("apigateway")
    changed: list[str] = []
    for api in record["resources"]:
        if api["resource_type"] != "rest_api":
            continue
        api_id = api["rest_api_id"]
        changed += _limit(client, api_id, gateway_stage, throttle)
        _tell_when(client, api_id, gateway_stage)
    return changed


def _limit(client: Any, api_id: str, gateway_stage: str, throttle: Throttle) -> list[str]:
    place = {"restApiId": api_id, "stageName": gateway_stage}
    now = client.get_stage(**place).get("methodSettings", {}).get(_EVERY_ROUTE, {})
    limits = {"rateLimit": throttle.per_second, "burstLimit": throttle.burst}
    if (now.get("throttlingRateLimit"), now.get("throttlingBurstLimit")) == (*limits.values(),):
        return []
    client.update_stage(
        **place,
        patchOperations=[
            {"op": "replace", "path": f"/{_EVERY_ROUTE}/throttling/{name}", "value": str(limit)}
            for name, limit in limits.items()
        ],
    )
    let_through = f"{throttle.per_second} requests a second, {throttle.burst} at once"
    return [f"the gateway lets through on each route: {let_through}"]


def _tell_when(client: Any, api_id: str, gateway_stage: str) -> None:
    """The gateway tells those whom it refuses when to come back.

    Said each time, whatever the gateway shows: Chalice overwrites the API with each deployment, and what it does not
    describe is lost with that. So it is no change that anybody has to be told of either.
    """
    client.put_gateway_response(
        restApiId=api_id,
        responseType=_THROTTLED,
        statusCode="429",
        responseParameters=RETRY_AFTER,
        responseTemplates=REFUSAL,
    )
    # What the gateway answers is part of what is deployed.
    client.create_deployment(restApiId=api_id, stageName=gateway_stage)


def _count(variables: Mapping[str, str], name: str, default: int) -> int:
    text = variables.get(name, str(default))
    if not text.isdecimal() or int(text) < 1:
        raise DeployError(f"{name} is a whole number of at least 1.")
    return int(text)
