"""The firewall before the API, where a stage wants one: it counts by address, also those who have no key.

The rule stands in infra/template.yaml. Chalice makes the API after the stack, so the two are brought together here.
"""

import time
from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.deploy.aws import Aws, code
from infra.deploy.errors import DeployError
from infra.deploy.records import Record

REQUESTS: Final = "PAYGRADE_REQUESTS_PER_ADDRESS"
PARAMETER: Final = "RequestsPerAddress"
OUTPUT: Final = "FirewallArn"
_LEAST: Final = 10  # of AWS WAF's rules by rate
# An API that was made a moment ago is not known to AWS WAF yet: "a few seconds to a number of minutes".
_UNKNOWN_YET: Final = "WAFUnavailableEntityException"
_PATIENCE_SECONDS: Final = 180.0


def requests_per_address(variables: Mapping[str, str]) -> int:
    """How many requests an address has in five minutes; 0: no firewall.

    Raises:
        DeployError: The variable is no such number.
    """
    text = variables.get(REQUESTS, "0")
    if not text.isdecimal() or 0 < int(text) < _LEAST:
        raise DeployError(f"{REQUESTS} is a whole number of at least {_LEAST}, or 0 for none.")
    return int(text)


def place_firewall(aws: Aws, record: Record, gateway_stage: str, firewall: str | None) -> list[str]:
    """The firewall, if there is one, stands before the API; what was changed for that."""
    if firewall is None:
        return []
    client = aws.client("wafv2")
    changed: list[str] = []
    for api in record["resources"]:
        if api["resource_type"] != "rest_api":
            continue
        place = aws.place
        stage = f"/restapis/{api['rest_api_id']}/stages/{gateway_stage}"
        arn = f"arn:{place.partition}:apigateway:{place.region}::{stage}"
        if arn not in _guarded(aws, firewall):
            _associate(client, firewall, arn)
            changed.append("the firewall stands before the API")
    return changed


def _associate(client: Any, firewall: str, arn: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            client.associate_web_acl(WebACLArn=firewall, ResourceArn=arn)
        except ClientError as error:
            if code(error) != _UNKNOWN_YET or time.monotonic() > deadline:
                raise
            time.sleep(5)
        else:
            return


def withdraw_firewall(aws: Aws, firewall: str | None) -> None:
    """The firewall stands before nothing, so that the stack can do without it."""
    if firewall is not None:
        for arn in _guarded(aws, firewall):
            aws.client("wafv2").disassociate_web_acl(ResourceArn=arn)


def _guarded(aws: Aws, firewall: str) -> list[str]:
    try:
        answer = aws.client("wafv2").list_resources_for_web_acl(
            WebACLArn=firewall, ResourceType="API_GATEWAY"
        )
    except ClientError as error:
        if code(error) == "WAFNonexistentItemException":
            return []
        raise
    found: list[str] = answer.get("ResourceArns", [])
    return found
