"""What `chalice deploy` can't say about the functions: how failures of a queue are reported, and the API's address."""

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.deploy.aws import Aws, code
from infra.deploy.config import PUBLIC_URL
from infra.deploy.errors import DeployError
from infra.deploy.place import API_FUNCTION
from infra.deploy.records import Record
from infra.deploy.recovery import kept_mapping, mappings_of

REPORT: Final = "ReportBatchItemFailures"
_SETTLE_SECONDS: Final = 120.0


def complete_mappings(aws: Aws, record: Record, functions: Iterable[str]) -> list[str]:
    """Every queue has one mapping to its function, which may report single failures; what was changed for that.

    Chalice never sets the report, and its updates leave it alone. Without it, what a handler reports as failed would
    be deleted.
    """
    client = aws.client("lambda")
    recorded = {one["event_uuid"] for one in record["resources"] if "event_uuid" in one}
    changed: list[str] = []
    for function in functions:
        by_queue: dict[str, list[dict[str, Any]]] = {}
        for mapping in mappings_of(aws, aws.place.function_name(function)):
            by_queue.setdefault(mapping["EventSourceArn"], []).append(mapping)
        for mappings in by_queue.values():
            known = next((one["UUID"] for one in mappings if one["UUID"] in recorded), None)
            kept = kept_mapping(mappings, known)
            for mapping in mappings:
                if mapping["UUID"] != kept["UUID"]:
                    _once_free(partial(client.delete_event_source_mapping, UUID=mapping["UUID"]))
                    changed.append(f"{function}: removed a second mapping of its queue")
            if REPORT not in kept.get("FunctionResponseTypes", []):
                _once_free(
                    partial(
                        client.update_event_source_mapping,
                        UUID=kept["UUID"],
                        FunctionResponseTypes=[REPORT],
                    )
                )
                changed.append(f"{function}: reports single failures")
    return changed


def complete_addresses(aws: Aws, url: str, functions: Iterable[str]) -> list[str]:
    """Every function knows where the API is reached; which ones were told.

    Only after the first deployment is that known: from the second on it stands in Chalice's configuration.
    """
    client = aws.client("lambda")
    told: list[str] = []
    for function in functions:
        name = aws.place.function_name(function)
        found = client.get_function_configuration(FunctionName=name)
        variables = found.get("Environment", {}).get("Variables", {})
        if variables.get(PUBLIC_URL) == url:
            continue
        client.update_function_configuration(
            FunctionName=name, Environment={"Variables": {**variables, PUBLIC_URL: url}}
        )
        _settled(client, name)
        told.append(f"{function}: is reached at {url}")
    return told


def refuse_functions_of_a_stack(aws: Aws) -> None:
    """Nothing, unless CloudFormation has made the functions, as by the second way: it has to go on with them.

    Raises:
        DeployError: It has.
    """
    name = aws.place.function_name(API_FUNCTION)
    try:
        found = aws.client("lambda").get_function(FunctionName=name)
    except ClientError as error:
        if code(error) == "ResourceNotFoundException":
            return
        raise
    stack = found.get("Tags", {}).get("aws:cloudformation:stack-name")
    if stack is not None:
        raise DeployError(
            f"The functions of {aws.place} belong to the CloudFormation stack {stack!r}: deploy them with it, as"
            " infra/docs/packaging.md says, or delete that stack first.",
            code="other_way",
        )


def _once_free(change: Callable[[], object]) -> None:
    """The change is made; while a mapping is still being made or changed, Lambda refuses the next change."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        try:
            change()
        except ClientError as error:
            if code(error) != "ResourceInUseException" or time.monotonic() > deadline:
                raise
            time.sleep(2)
        else:
            return


def _settled(client: Any, name: str) -> None:
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        found = client.get_function_configuration(FunctionName=name)
        status = found.get("LastUpdateStatus", "Successful")
        if status == "Successful":
            return
        if status == "Failed" or time.monotonic() > deadline:
            raise DeployError(f"{name} was not updated: {found.get('LastUpdateStatusReason')}")
        time.sleep(1)
