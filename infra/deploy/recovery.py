"""What of a stage exists in AWS, told to Chalice: it writes its record only after a deployment that succeeded.

After one that failed, Chalice would take nothing for existing: roles it could not adopt, a second API, a second mapping
of each queue. So the record is completed by looking.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.deploy.aws import Aws, code
from infra.deploy.place import API_FUNCTION, APP_NAME
from infra.deploy.records import Record

_ABSENT: Final = ("ResourceNotFoundException", "NoSuchEntity", "NotFoundException")
Resource = dict[str, Any]


def recovered(
    aws: Aws, record: Mapping[str, Any], functions: Iterable[str], gateway_stage: str
) -> Record:
    """The record with everything that exists; what it says and no longer exists is dropped from it."""
    known = {one["name"]: one for one in record.get("resources", [])}
    found: dict[str, Resource] = {}
    for function in functions:
        for resource in _of_function(aws, function, known):
            found[resource["name"]] = resource
    rest_api = _rest_api(aws, known.get("rest_api"), gateway_stage)
    if rest_api is not None:
        found["rest_api"] = rest_api
    kinds = ("lambda_function", "iam_role", "sqs_event", "rest_api")
    others = [one for one in known.values() if one["resource_type"] not in kinds]
    # Functions that the app no longer has: Chalice takes them away, if it is told of them.
    former = [
        one
        for name, one in known.items()
        if one["resource_type"] in kinds and name not in found and _is_of_another(name, functions)
    ]
    resources = [*former, *others, *found.values()]
    if not resources:
        return {}
    return {"schema_version": "2.0", "backend": "api", **record, "resources": resources}


def _is_of_another(name: str, functions: Iterable[str]) -> bool:
    own = {
        text
        for function in functions
        for text in (function, f"{function}_role", f"{function}-sqs-event-source")
    }
    return name not in own and name != "rest_api"


def _of_function(aws: Aws, function: str, known: Mapping[str, Resource]) -> list[Resource]:
    place = aws.place
    found: list[Resource] = []
    role_name = f"{APP_NAME}-{place.stage}-{function}"
    role = _unless_absent(lambda: aws.client("iam").get_role(RoleName=role_name))
    if role is not None:
        found.append(
            {
                "name": f"{function}_role",
                "resource_type": "iam_role",
                "role_arn": role["Role"]["Arn"],
                "role_name": role_name,
            }
        )
    name = place.function_name(function)
    answer = _unless_absent(lambda: aws.client("lambda").get_function(FunctionName=name))
    if answer is None:
        return found
    arn = answer["Configuration"]["FunctionArn"]
    found.append({"name": function, "resource_type": "lambda_function", "lambda_arn": arn})
    mappings = mappings_of(aws, name)
    if mappings:
        event_name = f"{function}-sqs-event-source"
        recorded = known.get(event_name, {}).get("event_uuid")
        kept = kept_mapping(mappings, recorded)
        found.append(
            {
                "name": event_name,
                "resource_type": "sqs_event",
                "queue_arn": kept["EventSourceArn"],
                "event_uuid": kept["UUID"],
                "queue": kept["EventSourceArn"].rpartition(":")[2],
                "lambda_arn": arn,
            }
        )
    return found


def mappings_of(aws: Aws, function_name: str) -> list[dict[str, Any]]:
    """The queues that start the function, oldest mapping first."""
    pages = aws.client("lambda").get_paginator("list_event_source_mappings")
    found = [
        mapping
        for page in pages.paginate(FunctionName=function_name)
        for mapping in page["EventSourceMappings"]
        if ":sqs:" in mapping.get("EventSourceArn", "") and mapping.get("State") != "Deleting"
    ]
    return sorted(found, key=lambda one: (str(one.get("LastModified", "")), one["UUID"]))


def kept_mapping(mappings: list[dict[str, Any]], recorded: str | None) -> dict[str, Any]:
    """The one that stays where there should be one: that which Chalice knows, or the oldest."""
    return next((one for one in mappings if one["UUID"] == recorded), mappings[0])


def _rest_api(aws: Aws, recorded: Resource | None, gateway_stage: str) -> Resource | None:
    client = aws.client("apigateway")
    if recorded is not None:
        api_id = recorded["rest_api_id"]
        if _unless_absent(lambda: client.get_rest_api(restApiId=api_id)) is not None:
            return recorded
    place = aws.place
    mark = f":function:{place.function_name(API_FUNCTION)}/invocations"
    for page in client.get_paginator("get_rest_apis").paginate():
        for api in page["items"]:
            # Every stage's API has the same name; which one is ours, its integrations tell.
            if api["name"] == APP_NAME and _calls(client, api["id"], mark):
                where = f"{api['id']}.execute-api.{place.region}.{place.suffix}"
                return {
                    "name": "rest_api",
                    "resource_type": "rest_api",
                    "rest_api_id": api["id"],
                    "rest_api_url": f"https://{where}/{gateway_stage}/",
                }
    return None


def _calls(client: Any, api_id: str, mark: str) -> bool:
    pages = client.get_paginator("get_resources").paginate(restApiId=api_id, embed=["methods"])
    return any(
        mark in method.get("methodIntegration", {}).get("uri", "")
        for page in pages
        for resource in page["items"]
        for method in resource.get("resourceMethods", {}).values()
    )


def _unless_absent(ask: Any) -> Any:
    try:
        return ask()
    except ClientError as error:
        if code(error) in _ABSENT:
            return None
        raise
