"""The catalog as a file: pulled, planned, applied, and carried from stage to stage."""

import json
from pathlib import Path
from typing import Any

import pytest

import app
from chalicelib.domain.reconciliations import (
    Drift,
    DriftAction,
    DriftKind,
    Reconciliation,
    ReconciliationStatus,
)
from chalicelib.ports import Absent, Put
from infra.cli import session
from tests.unit.api.world import World
from tests.unit.cli.conftest import Shell
from tests.unit.cli.environments import answer_of, new_client

PRICES = """\
# Ours.
plans: # the plans come first here
  - id: pro
    name: Pro
    product_id: app
    pricing_type: paid
    entitlements:
      - {feature_id: sso, value: true} # single sign-on
      - {feature_id: calls, usage_limit: 1000}
    prices:
      - {model: flat_fee, billing_period: month, interval_count: 1, currency: usd, amount: 2900} # a month
      # Two months free.
      - model: flat_fee
        billing_period: year
        currency: usd
        amount: 29000

  - id: free
    product_id: app
    name: "Free" # for ever

features:
  - {id: sso, name: Single sign-on, type: boolean}
  # What everybody counts.
  - id: calls
    name: Calls
    type: metered
products:
  - id: app
    name: App
"""


class Stage:
    """One environment, and `paygrade catalog ...` against it."""

    def __init__(self, world: World, shell: Shell) -> None:
        self.world = world
        self._shell = shell

    def run(self, *args: str, stdin: str = "") -> Any:
        url = f"https://{self.world.environment}.test"
        return self._shell("catalog", *args, PAYGRADE_API_URL=url, PAYGRADE_API_KEY="k")

    def ok(self, *args: str) -> str:
        result = self.run(*args)
        assert result.exit_code == 0, result.output
        text: str = result.stdout
        return text

    def json(self, path: str) -> Any:
        return answer_of(self.world, "GET", path)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        return answer_of(self.world, method, path, body)


@pytest.fixture
def stages(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> tuple[Stage, Stage]:
    worlds = World(app.app, environment="staging"), World(app.app, environment="production")
    monkeypatch.setattr(session, "new_client", new_client(*worlds))
    return Stage(worlds[0], shell), Stage(worlds[1], shell)


@pytest.fixture
def stage(stages: tuple[Stage, Stage]) -> Stage:
    return stages[0]


@pytest.fixture
def file(stages: tuple[Stage, Stage]) -> Path:
    path = Path("prices.yaml")  # the shell's folder is this test's own
    path.write_text(PRICES)
    return path


def test_plan_shows_each_change_and_ends_with_two_until_it_is_applied(
    stage: Stage, file: Path
) -> None:
    planned = stage.run("plan", "prices.yaml")
    assert planned.exit_code == 2
    lines = planned.stdout.splitlines()
    assert "+ feature sso" in lines
    assert "+ plan pro" in lines
    assert any(line.startswith("    Stripe: new product 'Pro'; new price") for line in lines)
    assert lines[-1] == "5 to add, 0 to change, 0 to archive."
    assert "\x1b" not in planned.stdout
    assert stage.json("/v1/plans")["data"] == []
    assert stage.ok("apply", "prices.yaml", "--yes").endswith("Applied 5 changes to staging.\n")
    again = stage.run("plan", "prices.yaml")
    assert (again.exit_code, again.stdout) == (
        0,
        "No changes: the catalog is as the document says.\n",
    )


def test_change_and_archival_are_shown_with_their_values(stage: Stage, file: Path) -> None:
    stage.ok("apply", "prices.yaml", "--yes")
    text = PRICES.replace("amount: 2900}", "amount: 3900}")
    file.write_text(text[: text.index("  - id: free")] + text[text.index("features:") :])
    lines = stage.run("plan", "prices.yaml", "--prune").stdout.splitlines()
    assert lines[0] == "~ plan pro"
    assert "    ~ prices[flat_fee-month-usd].amount: 2900 -> 3900" in lines
    assert "- plan free (archive)" in lines
    assert lines[-1] == "0 to add, 1 to change, 1 to archive."
    lines = stage.run("plan", "prices.yaml").stdout.splitlines()
    assert "Not in the document, left alone: plan:free" in lines


def test_apply_asks_and_does_nothing_without_a_yes(stage: Stage, file: Path) -> None:
    result = stage.run("apply", "prices.yaml")
    assert result.exit_code == 1
    assert "Apply this to staging?" in result.output
    assert stage.json("/v1/plans")["data"] == []
    assert stage.run("apply", "prices.yaml", "--json").exit_code == 1


def test_kept_plan_is_applied_just_as_it_was_and_only_to_its_state_and_stage(
    stages: tuple[Stage, Stage], file: Path
) -> None:
    staging, production = stages
    assert staging.run("plan", "prices.yaml", "--out", "plan.json").exit_code == 2
    file.unlink()
    elsewhere = production.run("apply", "--plan", "plan.json", "--yes")
    assert elsewhere.exit_code == 1
    assert "The plan is for 'staging', not for 'production'." in elsewhere.stderr
    staging.ok("apply", "--plan", "plan.json", "--yes")
    assert staging.json("/v1/plans/pro")["version"] == 1
    moved = staging.run("apply", "--plan", "plan.json", "--yes")
    assert moved.exit_code == 1
    assert "409 state_moved" in moved.stderr


def test_apply_needs_exactly_one_of_file_and_plan(stage: Stage, file: Path) -> None:
    assert stage.run("apply").exit_code == 1
    assert stage.run("apply", "prices.yaml", "--plan", "plan.json").exit_code == 1
    Path("plan.json").write_text("[]")
    assert stage.run("apply", "--plan", "plan.json").exit_code == 1


def test_pull_after_apply_leaves_every_byte(stage: Stage, file: Path) -> None:
    stage.ok("apply", "prices.yaml", "--yes")
    assert stage.ok("pull", "prices.yaml") == "prices.yaml is what staging sells.\n"
    assert file.read_text() == PRICES


def test_pull_changes_values_and_keeps_comments_and_order(stage: Stage, file: Path) -> None:
    stage.ok("apply", "prices.yaml", "--yes")
    pro = stage.json("/v1/plans/pro")
    prices = [{k: v for k, v in one.items() if k != "billing"} for one in pro["prices"]]
    prices[0]["amount"] = 3900
    prices.append({**prices[0], "id": "extra", "billing_period": "week", "amount": 1000})
    change = {"prices": prices, "description": "For teams", "entitlements": pro["entitlements"][:1]}
    assert "id" in stage.send("PATCH", "/v1/plans/pro", change)
    assert stage.send("POST", "/v1/plans/pro/publish")["version"] == 2
    stage.send("PATCH", "/v1/features/calls", {"name": "API calls", "unit": "call"})
    stage.send("POST", "/v1/features", {"id": "new", "name": "New", "type": "boolean"})
    stage.send("POST", "/v1/plans/free/archive")
    stage.ok("pull", "prices.yaml")
    text = file.read_text()
    expected = PRICES.replace("amount: 2900} # a month", "amount: 3900} # a month")
    for comment in ("# Ours.", "# the plans come first here", "# a month", "# Two months free."):
        assert comment in text
    assert "# single sign-on" in text
    assert "# What everybody counts." in text
    assert text.splitlines()[:6] == expected.splitlines()[:6]
    assert "interval_count: 1, currency: usd, amount: 3900} # a month" in text
    assert "usage_limit: 1000" not in text
    assert "name: API calls" in text
    assert "archived: true" in text
    assert stage.run("plan", "prices.yaml").exit_code == 0
    assert stage.ok("pull", "prices.yaml") == "prices.yaml is what staging sells.\n"


def test_pull_without_file_prints_what_pull_would_write(stage: Stage, file: Path) -> None:
    stage.ok("apply", "prices.yaml", "--yes")
    printed = stage.ok("pull")
    stage.ok("pull", "new.yaml")
    assert Path("new.yaml").read_text() == printed
    assert stage.run("plan", "new.yaml").exit_code == 0


def test_pull_of_an_empty_catalog_can_be_planned(stage: Stage) -> None:
    stage.ok("pull", "new.yaml")
    assert stage.run("plan", "new.yaml").exit_code == 0


def test_catalog_promoted_from_stage_to_stage_is_the_same_there(
    stages: tuple[Stage, Stage], file: Path
) -> None:
    staging, production = stages
    staging.ok("apply", "prices.yaml", "--yes")
    staging.ok("pull", "pulled.yaml")
    assert production.run("plan", "pulled.yaml").exit_code == 2
    production.ok("apply", "pulled.yaml", "--yes")
    ours, theirs = (one.json("/v1/catalog") for one in stages)
    assert (ours["environment"], theirs["environment"]) == ("staging", "production")
    assert (ours["catalog"], ours["hash"]) == (theirs["catalog"], theirs["hash"])
    production.ok("pull", "there.yaml")
    assert Path("there.yaml").read_bytes() == Path("pulled.yaml").read_bytes()


def test_drift_ends_with_two_when_the_catalog_differs(stage: Stage, file: Path) -> None:
    stage.ok("apply", "prices.yaml", "--yes")
    assert "not compared yet" in stage.ok("drift", "prices.yaml")
    stage.send("PATCH", "/v1/features/sso", {"name": "SSO"})
    result = stage.run("drift", "prices.yaml")
    assert result.exit_code == 2
    assert '~ name: "SSO" -> "Single sign-on"' in result.stdout


@pytest.mark.parametrize(("action", "code"), [(DriftAction.REPORTED, 2), (DriftAction.REPAIRED, 0)])
def test_drift_ends_with_two_when_a_provider_was_left_to_differ(
    stage: Stage, file: Path, action: DriftAction, code: int
) -> None:
    stage.ok("apply", "prices.yaml", "--yes")
    now = stage.world.clock.now()
    found = Drift(
        kind=DriftKind.PRICE_CHANGED,
        entity="plan:pro",
        ours={"amount": 1},
        theirs=None,
        action=action,
    )
    run = Reconciliation(
        id="rec_1",
        status=ReconciliationStatus.SUCCEEDED,
        trigger="test",
        drifts=(found,),
        started_at=now,
        updated_at=now,
        finished_at=now,
    )
    stage.world.store.commit(Put(run, Absent()))
    result = stage.run("drift", "prices.yaml")
    assert result.exit_code == code, result.output
    assert "Billing providers, by rec_1 (succeeded):" in result.stdout
    assert ("plan:pro" in result.stdout) is (code == 2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("plans: [", "is not YAML"),
        ("- a\n", "is not a mapping"),
        ("plans: !!python/object:os.system {}\n", "is not YAML"),
        ("plans: []\nplans: []\n", "is not YAML"),
        ("a: &a [*a]\n", "is not YAML"),
        ("plan: []\n", "plan: Extra inputs"),
        ("plans:\n  - {id: x}\n", "plans[0].name"),
        ("plans:\n  - {id: x, product_id: p, name: 5}\n", "plans[0].name"),
        ("plans:\n  - {id: x, product_id: p, name: N}\n", "plans[0].product_id"),
    ],
)
def test_bad_file_ends_with_one_and_the_place(stage: Stage, text: str, says: str) -> None:
    Path("bad.yaml").write_text(text)
    result = stage.run("plan", "bad.yaml")
    assert result.exit_code == 1, result.output
    assert says in result.stderr


def test_file_that_is_not_there_or_no_text_ends_with_one(stage: Stage) -> None:
    assert "can't be read" in stage.run("plan", "nowhere.yaml").stderr
    Path("bad.yaml").write_bytes(b"\xff\xfe")
    assert "can't be read" in stage.run("plan", "bad.yaml").stderr


def test_pull_does_not_touch_a_file_that_is_no_catalog(stage: Stage) -> None:
    Path("bad.yaml").write_text("plans:\n  - {id: x}\n")
    result = stage.run("pull", "bad.yaml")
    assert result.exit_code == 1
    assert "plans[0].name" in result.stderr
    assert Path("bad.yaml").read_text() == "plans:\n  - {id: x}\n"


def test_json_is_the_plan_alone_with_the_same_exit_code(stage: Stage, file: Path) -> None:
    result = stage.run("plan", "prices.yaml", "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["object"] == "catalog_diff"


def test_schema_is_printed_without_an_api(shell: Shell) -> None:
    result = shell("catalog", "schema")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["title"] == "Paygrade catalog"
