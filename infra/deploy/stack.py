"""The CloudFormation stack of one stage: tables, queues, alarms, dashboard. Every change goes by a change set."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.deploy.aws import Aws, message
from infra.deploy.errors import DeployError

TEMPLATE: Final = Path(__file__).parents[1] / "template.yaml"
TOPIC: Final = "AlarmTopicArn"
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
_TEMPLATE_LIMIT: Final = 51_200
_WAIT_SECONDS: Final = 1800.0
_NOTHING_TO_DO: Final = ("didn't contain changes", "No updates are to be performed")

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a change set would do to one resource."""

    action: str
    logical_id: str
    kind: str
    replaces: bool
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        sign = {"Add": "+", "Modify": "~", "Remove": "-"}.get(self.action, "?")
        replaced = " (replaced: what it holds is left behind)" if self.replaces else ""
        details = f": {', '.join(self.details)}" if self.details else ""
        return f"{sign} {self.logical_id} {self.kind}{details}{replaced}"


class Stack:
    """One stage's stack; `poll_seconds` is how often its state is looked at."""

    def __init__(
        self,
        aws: Aws,
        tell: Tell,
        *,
        parameters: Mapping[str, str] = MappingProxyType({}),
        poll_seconds: float = 2.0,
    ) -> None:
        """No request is made. `parameters` are more of the template's; those that nobody gives stay as they are."""
        self._more = parameters
        self._aws = aws
        self._client = aws.client("cloudformation")
        self._tell = tell
        self._poll_seconds = poll_seconds
        self._name = aws.place.stack_name

    def state(self) -> str | None:
        """CloudFormation's word for the stack's state; None if there is no stack."""
        found = self._describe()
        return None if found is None else str(found["StackStatus"])

    def outputs(self) -> dict[str, str]:
        """The outputs by name; empty without a stack."""
        found = self._describe() or {}
        return {one["OutputKey"]: one["OutputValue"] for one in found.get("Outputs", [])}

    def diff(self, alarm_topic: str | None = None) -> list[Change]:
        """What `deploy` would change; nothing has changed."""
        is_new = self._settled() in (None, "REVIEW_IN_PROGRESS")
        change_set = self._make_change_set(alarm_topic, is_new=is_new)
        if change_set is None:
            return []
        changes = list(self._changes(change_set))
        self._client.delete_change_set(ChangeSetName=change_set, StackName=self._name)
        if is_new:
            # An empty shell, left by its change set.
            self._client.delete_stack(StackName=self._name)
        return changes

    def deploy(self, alarm_topic: str | None = None) -> list[Change]:
        """The stack is as the template says; what was changed for that.

        Goes on from whatever an earlier try left: one that is under way is waited for, one that never came to be is
        cleared away.

        Raises:
            DeployError: AWS could not make it; the message has its reasons. The stack is as it was.
        """
        state = self._settled()
        if state in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
            self._tell(f"The stack is {state}: clearing it away.")
            self._client.delete_stack(StackName=self._name)
            self._wait(self._now())
            state = None
        is_new = state in (None, "REVIEW_IN_PROGRESS")
        change_set = self._make_change_set(alarm_topic, is_new=is_new)
        if change_set is None:
            return []
        changes = list(self._changes(change_set))
        for change in changes:
            self._tell(f"  {change}")
        since = self._now()
        self._client.execute_change_set(ChangeSetName=change_set, StackName=self._name)
        ended = self._wait(since)
        if ended not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            raise DeployError(self._why(ended), code="stack_failed")
        return changes

    def delete(self) -> None:
        """There is no stack any more; tables and the bucket are left, as the template says."""
        if self._settled() is None:
            return
        since = self._now()
        self._client.delete_stack(StackName=self._name)
        ended = self._wait(since)
        if ended not in (None, "DELETE_COMPLETE"):
            raise DeployError(self._why(ended), code="stack_failed")

    def _describe(self) -> dict[str, Any] | None:
        try:
            answer = self._client.describe_stacks(StackName=self._name)
        except ClientError as error:
            if "does not exist" in message(error):
                return None
            raise
        found: dict[str, Any] = answer["Stacks"][0]
        return None if found["StackStatus"] == "DELETE_COMPLETE" else found

    def _settled(self) -> str | None:
        """The state once nothing is under way."""
        state = self.state()
        if state is not None and state.endswith("_IN_PROGRESS") and state != "REVIEW_IN_PROGRESS":
            self._tell(f"The stack is {state}: waiting for its end.")
            return self._wait(None)
        return state

    def _make_change_set(self, alarm_topic: str | None, *, is_new: bool) -> str | None:
        body = self._body()
        if len(body.encode()) > _TEMPLATE_LIMIT:
            raise DeployError("infra/template.yaml is larger than CloudFormation takes (51,200 B).")
        name = f"paygrade-{time.time_ns()}"
        try:
            self._client.create_change_set(
                StackName=self._name,
                ChangeSetName=name,
                ChangeSetType="CREATE" if is_new else "UPDATE",
                TemplateBody=body,
                Parameters=self._parameters(alarm_topic, is_new=is_new),
                # Tables that a former stack of the stage left behind are taken over, data and all.
                ImportExistingResources=True,
                Tags=[{"Key": "paygrade-stage", "Value": self._aws.place.stage}],
            )
        except ClientError as error:
            if any(text in message(error) for text in _NOTHING_TO_DO):
                return None
            raise
        while True:
            made = self._client.describe_change_set(ChangeSetName=name, StackName=self._name)
            if made["Status"] in ("CREATE_COMPLETE", "FAILED"):
                break
            time.sleep(self._poll_seconds)
        if made["Status"] == "CREATE_COMPLETE" and made.get("Changes"):
            return name
        self._client.delete_change_set(ChangeSetName=name, StackName=self._name)
        reason = made.get("StatusReason", "")
        if made["Status"] == "FAILED" and not any(text in reason for text in _NOTHING_TO_DO):
            raise DeployError(f"The change set failed: {reason}", code="stack_failed")
        return None

    def _body(self) -> str:
        """The template with names spelled out: CloudFormation takes over only what is named literally."""
        place = self._aws.place
        text = TEMPLATE.read_text().replace("${Stage}", place.stage)
        text = text.replace("${AWS::AccountId}", place.account)
        return re.sub(r'!Sub ("[^"$]*")', r"\1", text)

    def _parameters(self, alarm_topic: str | None, *, is_new: bool) -> list[dict[str, Any]]:
        given = {"Stage": self._aws.place.stage, **self._more}
        if alarm_topic is not None:
            given[TOPIC] = alarm_topic
        described = None if is_new else self._describe()
        held = {one["ParameterKey"] for one in (described or {}).get("Parameters", [])}
        # CloudFormation would take the template's default for what is left out: whoever is told of alarms still is.
        kept = sorted((held & _parameters_of_template()) - given.keys())
        return [
            *({"ParameterKey": name, "ParameterValue": value} for name, value in given.items()),
            *({"ParameterKey": name, "UsePreviousValue": True} for name in kept),
        ]

    def _changes(self, change_set: str) -> Iterator[Change]:
        pages = self._client.get_paginator("describe_change_set")
        for page in pages.paginate(ChangeSetName=change_set, StackName=self._name):
            for one in page["Changes"]:
                change = one["ResourceChange"]
                names = {
                    detail["Target"].get("Name") or detail["Target"]["Attribute"]
                    for detail in change.get("Details", [])
                    if "Target" in detail
                }
                yield Change(
                    action=change["Action"],
                    logical_id=change["LogicalResourceId"],
                    kind=change["ResourceType"],
                    replaces=change.get("Replacement") == "True",
                    details=tuple(sorted(names)),
                )

    def _wait(self, since: str | None) -> str | None:
        """The state once nothing is under way; events after the one named `since` were told meanwhile."""
        deadline = time.monotonic() + _WAIT_SECONDS
        seen = since or ""
        while True:
            state = self.state()
            if since is not None and state is not None:
                seen = self._tell_events(seen)
            if state is None or not state.endswith("_IN_PROGRESS"):
                return state
            if time.monotonic() > deadline:
                raise DeployError(f"The stack is still {state} after {_WAIT_SECONDS / 60:.0f} min.")
            time.sleep(self._poll_seconds)

    def _now(self) -> str:
        """The newest event's id, or an empty text."""
        events = self._events()
        return str(events[0]["EventId"]) if events else ""

    def _events(self) -> list[dict[str, Any]]:
        try:
            answer = self._client.describe_stack_events(StackName=self._name)
        except ClientError:
            return []
        events: list[dict[str, Any]] = answer["StackEvents"]
        return events

    def _tell_events(self, since: str) -> str:
        events = self._events()
        ids = [event["EventId"] for event in events]
        new = events[: ids.index(since)] if since in ids else events
        for event in reversed(new):
            reason = event.get("ResourceStatusReason", "")
            state = event["ResourceStatus"]
            if state.endswith("_COMPLETE") or "FAILED" in state:
                self._tell(f"  {event['LogicalResourceId']} {state} {reason}".rstrip())
        return ids[0] if ids else since

    def _why(self, state: str | None) -> str:
        reasons = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', 'no reason given')}"
            for event in self._events()
            if "FAILED" in event["ResourceStatus"]
        ]
        return "\n".join([f"The stack ended as {state}.", *reversed(reasons[:10])])


def _parameters_of_template() -> set[str]:
    declared = TEMPLATE.read_text().partition("\nParameters:\n")[2].partition("\nConditions:\n")[0]
    return set(re.findall(r"^  (\w+):$", declared, re.MULTILINE))
