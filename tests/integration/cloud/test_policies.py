"""The policies are what the functions use: held against every request that they make of AWS, both ways."""

from collections.abc import Iterator

from infra.deploy import policies
from infra.deploy.keys import SECRETS_KEYS
from infra.deploy.place import Place
from infra.deploy.policies import GRANTS, policy
from tests.integration.cloud.functions import Functions, function_names
from tests.integration.cloud.recorder import NOBODY, Use

POLLED = set(policies.WORK_OFF) | set(policies.LOG)


def secret_settings(running: Functions) -> dict[str, str]:
    return {
        policies.STRIPE_KEY: f"ssm:/paygrade/{running.stage}/stripe_secret_key",
        policies.WEBHOOK_SECRETS: f"ssm:/paygrade/{running.stage}/stripe_webhook_secrets",
    }


def granted(running: Functions) -> Iterator[tuple[str, list[str], str]]:
    """Function, unit of actions and one resource of every right."""
    place = Place(running.stage, "000000000000", "us-east-1")
    for function in GRANTS:
        for statement in policy(place, function, secret_settings(running))["Statement"]:
            for resource in statement["Resource"]:
                yield function, statement["Action"], resource.split(":", 5)[5]


def test_every_function_was_at_work(lived: Functions) -> None:
    worked = {use.function for use in lived.recorder.uses} - {NOBODY}
    idle = function_names(lived.app) - worked
    assert not idle, f"tell stories.py what makes {sorted(idle)} work"


def test_no_function_needs_what_its_policy_does_not_grant(lived: Functions) -> None:
    rights = {
        Use(function, action, resource)
        for function, actions, resource in granted(lived)
        for action in actions
    }
    refused = {use for use in lived.recorder.uses - rights if use.function != NOBODY}
    assert not refused, "infra/deploy/policies.py would refuse:\n" + "\n".join(
        f"  {use.function}: {use.action} of {use.resource}" for use in sorted(refused)
    )


def test_no_policy_grants_what_its_function_never_needs(lived: Functions) -> None:
    unused = [
        f"  {function}: {', '.join(actions)} of {resource}"
        for function, actions, resource in granted(lived)
        if not POLLED.issuperset(actions)
        and not any(Use(function, action, resource) in lived.recorder.uses for action in actions)
    ]
    assert not unused, "infra/deploy/policies.py grants too much:\n" + "\n".join(unused)


KEY = "11111111-2222-3333-4444-555555555555"


def test_key_of_the_stage_opens_what_a_function_was_seen_to_read_and_nothing_else(
    lived: Functions,
) -> None:
    """KMS is asked by SSM, never by the function: what is opened is what was read."""
    place = Place(lived.stage, "000000000000", "us-east-1")
    settings = secret_settings(lived) | {SECRETS_KEYS: KEY}
    for function in GRANTS:
        opened = {
            parameter.split(":", 5)[5]
            for statement in policy(place, function, settings)["Statement"]
            if statement["Action"] == list(policies.DECRYPT)
            for parameter in statement["Condition"]["StringEquals"][policies.PARAMETER_CONTEXT]
        }
        read = {
            use.resource
            for use in lived.recorder.uses
            if (use.function, use.action) == (function, "ssm:GetParameter")
        }
        assert opened == read, function
