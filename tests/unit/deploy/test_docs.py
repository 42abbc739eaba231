"""What the pages for operators list is what there is."""

import ast
import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from chalicelib.ports import QueueName
from chalicelib.telemetry import METRICS
from tests.unit.deploy.test_template import resources

ROOT: Final = Path(__file__).parents[3]
DOCS: Final = ROOT / "infra" / "docs"
READS: Final = frozenset({"list", "retrieve", "search", "create_preview"})
ADAPTER: Final = ROOT / "chalicelib/adapters/billing/stripe"
# OAuth is a platform's, and needs a key without restrictions.
CALLERS: Final = (
    *sorted(set(ADAPTER.glob("*.py")) - {ADAPTER / "accounts.py"}),
    ROOT / "infra/deploy/webhook.py",
)


def alarms() -> list[str]:
    found = resources("AWS::CloudWatch::Alarm").values()
    return [str(alarm["AlarmName"]).removeprefix("paygrade-prod-") for alarm in found]


@pytest.mark.parametrize("alarm", alarms())
def test_alarm_has_a_section_of_the_runbook_with_a_command(alarm: str) -> None:
    sections = re.split(r"^## ", (DOCS / "runbook.md").read_text(), flags=re.MULTILINE)
    named = [text for text in sections if text.splitlines()[0] == alarm]
    assert len(named) == 1, f"infra/docs/runbook.md needs a section '## {alarm}'"
    assert "```sh\n" in named[0], f"the section {alarm!r} of the runbook has no command to run"


def test_runbook_has_no_section_of_an_alarm_that_is_gone() -> None:
    text = (DOCS / "runbook.md").read_text()
    assert set(re.findall(r"^## (\S+)$", text, flags=re.MULTILINE)) == set(alarms())


@pytest.mark.parametrize(
    ("row", "count"),
    [
        ("SQS: {} queues, ", len(QueueName)),
        ("| {} metrics |", len({metric.name for made in METRICS.values() for metric in made})),
        ("| {} alarms |", len(resources("AWS::CloudWatch::Alarm"))),
    ],
)
def test_costs_are_reckoned_for_as_many_as_there_are(row: str, count: int) -> None:
    assert row.format(count) in (DOCS / "deploy.md").read_text()


def called() -> dict[str, str]:
    """Right by resource of Stripe's API, of every operation that the code names."""
    found: dict[str, str] = {}
    for path in CALLERS:
        for node in ast.walk(ast.parse(path.read_text())):
            parts = _chain(node)
            if "v1" not in parts[:-2]:
                continue
            resource = ".".join(parts[parts.index("v1") + 1 : -1])
            right = "read" if parts[-1] in READS else "write"
            if found.get(resource) != "write":
                found[resource] = right
    # Of `v1.checkout.sessions` its first part is no resource.
    groups = {name.rpartition(".")[0] for name in found}
    return {name: right for name, right in found.items() if name not in groups}


def _chain(node: ast.AST) -> list[str]:
    """`a.b.c` of an attribute, whatever stands before it."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return parts


def test_rights_of_the_restricted_key_are_those_of_the_operations_that_the_code_calls() -> None:
    rows = re.findall(
        r"^\| `([a-z_.]+)` \| (read|write) \|", (DOCS / "deploy.md").read_text(), flags=re.MULTILINE
    )
    needed = called()
    # Kept in an attribute, so that no operation stands behind its name.
    needed["webhook_endpoints"] = "write"
    assert dict(rows) == needed


def test_every_package_that_runs_in_lambda_by_our_choice_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    # Chalice brings itself: its packager takes two of its files from where it runs.
    chosen = {"chalice"} | {re.split(r"[^\w.-]", line)[0] for line in project["dependencies"]}
    _, table = (DOCS / "deploy.md").read_text().split("| package | why |\n")
    reasons = dict(re.findall(r"^\| `([^`]+)` \| (\S.*) \|$", table, flags=re.MULTILINE))
    assert reasons.keys() == chosen
