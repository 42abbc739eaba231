"""Whatever somebody does at Stripe's dashboard is found, named, and made good or only told of: never adopted."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import app
from chalicelib.domain.reconciliations import DriftPolicy
from tests.integration.drift import dashboard, dashboard_extras
from tests.integration.drift.dashboard import Edit
from tests.integration.drift.shop import Shop
from tests.integration.world import StripeDeployment
from tests.unit.api.world import served

REPORT = {"policy": "report"}
EDITS = (*dashboard.EDITS, *dashboard_extras.EDITS)
by_edit = pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)


@pytest.fixture
def shop() -> Iterator[Shop]:
    world = StripeDeployment(app.app)
    with served(world):
        yield Shop(world)


def news_once(shop: Shop, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Two runs: what the first tells as news the second only calls to mind."""
    first = shop.reconcile(body)
    yield first
    second = shop.reconcile(body)
    assert second["drifts"] == []
    yield {**second, "drifts": second["standing"]}


def told(run: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(one["kind"], one["ours"], one["theirs"]) for one in run["drifts"]]


def actions(run: dict[str, Any]) -> set[str]:
    return {one["action"] for one in run["drifts"]}


def test_reconcile_of_a_catalog_nobody_touched_finds_nothing(shop: Shop) -> None:
    before = shop.everything()
    assert shop.reconcile()["drifts"] == []
    assert shop.everything() == before


@by_edit
def test_reconcile_after_an_edit_restores_exactly_the_catalog(shop: Shop, edit: Edit) -> None:
    catalog = shop.offered()
    expected = edit(shop)
    run = shop.reconcile()
    assert told(run) == expected
    assert actions(run) == {"repaired"}
    assert shop.offered() == catalog
    assert shop.reconcile()["drifts"] == []


@by_edit
def test_reconcile_told_to_report_after_an_edit_changes_nothing(shop: Shop, edit: Edit) -> None:
    expected = edit(shop)
    before = shop.everything()
    asked = len(shop.world.requests())
    for run in news_once(shop, REPORT):
        assert told(run) == expected
        assert (run["policy"], actions(run)) == ("report", {"reported"})
    assert {method for method, _ in shop.world.requests()[asked:]} == {"GET"}
    assert shop.everything() == before


def test_reconcile_where_the_environment_reports_does_so_unless_told_otherwise(shop: Shop) -> None:
    ports = shop.world.ports
    reporting = replace(ports.environment, drift_policy=DriftPolicy.REPORT)
    shop.world.ports = replace(ports, environment=reporting)
    shop.edit("products/pg_test_plan_pro", name="Hacked")
    assert actions(shop.reconcile()) == {"reported"}
    assert actions(shop.reconcile({"policy": "restore"})) == {"repaired"}


def test_reconcile_of_unknown_policy_is_refused(shop: Shop) -> None:
    answer = shop.world.send("POST", "/v1/reconciliations", {"policy": "adopt"})
    assert (answer.status, answer.json["errors"][0]["param"]) == (422, "policy")


@pytest.mark.parametrize("policy", ["restore", "report"])
def test_reconcile_coupon_with_other_terms_is_only_reported(shop: Shop, policy: str) -> None:
    key = shop.coupon["id"]
    shop.delete(f"coupons/{key}")
    held = shop.coupon["metadata"].items()
    metadata = {f"metadata[{name}]": value for name, value in held}
    shop.edit("coupons", id=key, name="Launch", percent_off=90, duration="forever", **metadata)
    before = shop.everything()
    for run in news_once(shop, {"policy": policy}):
        ours = {"coupon": key, "percent_off": "25", "duration": "once"}
        theirs = {"coupon": key, "percent_off": "90", "duration": "forever"}
        assert told(run) == [("coupon_terms", ours, theirs)]
        assert actions(run) == {"reported"}
    assert shop.everything() == before


def test_reconcile_archived_coupon_made_again_by_hand_is_deleted(shop: Shop) -> None:
    key = shop.coupon["id"]
    shop.world.send("POST", "/v1/coupons/launch/archive")
    shop.carry_over()
    shop.edit("coupons", id=key, name="Launch", percent_off=25, duration="once")
    assert told(shop.reconcile()) == [("coupon_extra", None, {"coupon": key, "name": "Launch"})]
    assert shop.all("coupons") == []
    assert shop.reconcile()["drifts"] == []


def test_reconcile_archived_plan_put_back_on_sale_by_hand_is_archived_again(shop: Shop) -> None:
    shop.world.send("POST", "/v1/plans/pro/archive")
    shop.carry_over()
    before = shop.everything()
    shop.edit("products/pg_test_plan_pro", active="true")
    shop.edit(f"prices/{shop.month['id']}", active="true")
    kinds = [kind for kind, _, _ in told(shop.reconcile())]
    assert kinds == ["product_unarchived", "price_extra"]
    assert [one["active"] for one in shop.all("prices")] == [
        one["active"] for one in before["prices"]
    ]
    assert not any(one["active"] for one in shop.all("products"))
    assert shop.reconcile()["drifts"] == []
