"""The catalog as one document over HTTP."""

import json
from typing import Any

import jsonschema
import pytest

from chalicelib.domain.audit_log import AuditEntry
from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.domain.plans import Package, PackageKind
from chalicelib.ports import Write
from tests.unit.api.world import World

Json = dict[str, Any]

CATALOG: Json = {
    "features": [
        {"id": "sso", "name": "Single sign-on", "type": "boolean"},
        {"id": "seats", "name": "Seats", "type": "metered", "usage_kind": "fluctuating"},
        {"id": "calls", "name": "Calls", "type": "metered", "usage_kind": "incremental"},
    ],
    "products": [{"id": "app", "name": "App", "metadata": {"line": "main"}}],
    "addons": [
        {
            "id": "more",
            "product_id": "app",
            "name": "More",
            "pricing_type": "paid",
            "prices": [
                {"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": 500}
            ],
        }
    ],
    "plans": [
        {
            "id": "pro",
            "product_id": "app",
            "name": "Pro",
            "pricing_type": "paid",
            "parent_plan_id": "free",
            "compatible_addons": ["more"],
            "entitlements": [
                {"feature_id": "sso", "value": True},
                {"feature_id": "calls", "usage_limit": 1000, "reset_period": "month"},
            ],
            "prices": [
                {
                    "model": "flat_fee",
                    "billing_period": "month",
                    "interval_count": 1,
                    "currency": "usd",
                    "amount": 2900,
                },
                {
                    "id": "seat",
                    "model": "per_unit",
                    "feature_id": "seats",
                    "billing_period": "month",
                    "currency": "usd",
                    "amount_decimal": "900.50",
                },
            ],
        },
        {
            "id": "free",
            "product_id": "app",
            "name": "Free",
            "entitlements": [{"feature_id": "calls", "usage_limit": 10}],
        },
    ],
}


def pulled(world: World) -> Json:
    answer = world.send("GET", "/v1/catalog")
    assert answer.status == 200, answer.body
    found: Json = answer.json
    return found


def diffed(world: World, catalog: Json, **more: Any) -> Json:
    answer = world.send("POST", "/v1/catalog/diff", {"catalog": catalog, **more})
    assert answer.status == 200, answer.body
    found: Json = answer.json
    return found


def applied(world: World, catalog: Json, **more: Any) -> Json:
    body = {"catalog": catalog, "expected_hash": pulled(world)["hash"], **more}
    answer = world.send("POST", "/v1/catalog/apply", body)
    assert answer.status == 200, answer.body
    found: Json = answer.json
    return found


def steps(report: Json) -> list[str]:
    return [f"{one['action']} {one['kind']}:{one['id']}" for one in report["changes"]]


def copied(**sections: Any) -> Json:
    return json.loads(json.dumps({**CATALOG, **sections}))  # type: ignore[no-any-return]


def plan(catalog: Json, plan_id: str) -> Json:
    return next(one for one in catalog["plans"] if one["id"] == plan_id)


# --- the document -------------------------------------------------------------------------------


def test_catalog_of_nothing_is_empty_lists(world: World) -> None:
    found = pulled(world)
    assert found["catalog"] == {
        "features": [],
        "products": [],
        "addons": [],
        "plans": [],
        "coupons": [],
    }
    assert (found["object"], found["environment"], found["drafts"]) == ("catalog", "test", [])
    assert len(found["hash"]) == 64


def test_catalog_is_shown_in_order_of_ids_without_defaults(world: World) -> None:
    applied(world, CATALOG)
    found = pulled(world)["catalog"]
    assert [one["id"] for one in found["features"]] == ["calls", "seats", "sso"]
    assert found["features"][0] == {"id": "calls", "name": "Calls", "type": "metered"}
    assert found["features"][1]["usage_kind"] == "fluctuating"
    assert found["products"] == CATALOG["products"]
    assert found["addons"] == CATALOG["addons"]
    assert [one["id"] for one in found["plans"]] == ["free", "pro"]
    assert found["plans"][0] == plan(CATALOG, "free")
    pro = found["plans"][1]
    assert [one["feature_id"] for one in pro["entitlements"]] == ["calls", "sso"]
    assert pro["prices"] == [
        {"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": 2900},
        {
            "id": "seat",
            "model": "per_unit",
            "billing_period": "month",
            "currency": "usd",
            "amount_decimal": "900.5",
            "feature_id": "seats",
        },
    ]


def test_document_that_was_pulled_changes_nothing(world: World) -> None:
    applied(world, CATALOG)
    before = pulled(world)
    commits = len(world.store.commits)
    assert diffed(world, before["catalog"])["changes"] == []
    report = applied(world, before["catalog"])
    assert (report["object"], report["changes"]) == ("catalog_apply", [])
    assert report["hash"] == before["hash"]
    assert len(world.store.commits) == commits
    assert pulled(world) == before


def test_same_document_again_changes_and_writes_nothing(world: World) -> None:
    applied(world, CATALOG)
    commits = len(world.store.commits)
    sent = len(world.queue.messages)
    assert applied(world, CATALOG)["changes"] == []
    assert (len(world.store.commits), len(world.queue.messages)) == (commits, sent)


def test_etag_spares_an_unchanged_catalog(world: World) -> None:
    applied(world, CATALOG)
    first = world.send("GET", "/v1/catalog")
    again = world.send("GET", "/v1/catalog", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


def test_hash_follows_drafts_and_not_the_document(world: World) -> None:
    applied(world, CATALOG)
    before = pulled(world)
    world.send("PATCH", "/v1/plans/pro", {"name": "Professional"})
    after = pulled(world)
    assert after["catalog"] == before["catalog"]
    assert after["drafts"] == ["plan:pro"]
    assert after["hash"] != before["hash"]
    world.send("DELETE", "/v1/plans/pro/draft")
    assert pulled(world)["hash"] == before["hash"]


def test_plan_that_was_never_published_is_a_draft_and_no_part_of_the_document(
    world: World,
) -> None:
    applied(world, CATALOG)
    world.send("POST", "/v1/plans", {"id": "next", "product_id": "app", "name": "Next"})
    found = pulled(world)
    assert found["drafts"] == ["plan:next"]
    assert [one["id"] for one in found["catalog"]["plans"]] == ["free", "pro"]
    report = diffed(world, found["catalog"], prune=True)
    assert (report["changes"], report["unmanaged"]) == ([], [])


# --- the plan -----------------------------------------------------------------------------------


def test_plan_of_a_new_catalog_creates_in_order_of_dependence_and_writes_nothing(
    world: World,
) -> None:
    commits = len(world.store.commits)
    report = diffed(world, CATALOG)
    assert steps(report) == [
        "create feature:calls",
        "create feature:seats",
        "create feature:sso",
        "create product:app",
        "create addon:more",
        "create plan:free",
        "create plan:pro",
    ]
    assert report["object"] == "catalog_diff"
    assert report["hash"] == pulled(world)["hash"]
    assert len(world.store.commits) == commits
    assert world.queue.messages == []


def test_plan_tells_what_happens_at_stripe_and_to_subscribers(world: World) -> None:
    report = diffed(world, CATALOG)
    pro = report["changes"][-1]
    assert pro["effect"] == {
        "stripe": [
            "new product 'Pro'",
            "new price flat_fee-month-usd",
            "new price seat",
            "default price flat_fee-month-usd",
        ],
        "subscribers": None,
    }
    assert report["changes"][-2]["effect"]["stripe"] == []
    applied(world, CATALOG)
    changed = copied()
    plan(changed, "pro")["prices"][0]["amount"] = 3900
    [change] = diffed(world, changed)["changes"]
    assert change == {
        "action": "update",
        "kind": "plan",
        "id": "pro",
        "changes": [{"path": "prices[flat_fee-month-usd].amount", "before": 2900, "after": 3900}],
        "replaces_draft": False,
        "effect": {
            "stripe": [
                "new price flat_fee-month-usd",
                "default price flat_fee-month-usd",
                "archive price flat_fee-month-usd",
            ],
            "subscribers": 0,
        },
    }


def test_plan_without_billing_provider_tells_nothing_of_stripe(world: World) -> None:
    world.providers.configured = []
    assert all(not one["effect"]["stripe"] for one in diffed(world, CATALOG)["changes"])


def test_differences_name_what_was_added_removed_changed_and_reordered(world: World) -> None:
    applied(world, CATALOG)
    changed = copied()
    pro = plan(changed, "pro")
    pro["prices"].reverse()
    pro["entitlements"][0]["value"] = False
    del pro["entitlements"][1]
    pro["description"] = "More"
    pro["metadata"] = {"a": "1"}
    [change] = diffed(world, changed)["changes"]
    found = {one["path"]: (one["before"], one["after"]) for one in change["changes"]}
    assert found == {
        "description": (None, "More"),
        "entitlements[sso].value": (True, False),
        "entitlements[calls]": (
            {"feature_id": "calls", "usage_limit": 1000, "reset_period": "month"},
            None,
        ),
        "prices": (["flat_fee-month-usd", "seat"], ["seat", "flat_fee-month-usd"]),
        "metadata": (None, {"a": "1"}),
    }


def test_order_without_meaning_is_no_change(world: World) -> None:
    applied(world, CATALOG)
    changed = copied()
    for section in changed.values():
        section.reverse()
    plan(changed, "pro")["entitlements"].reverse()
    assert diffed(world, changed)["changes"] == []


# --- applying -----------------------------------------------------------------------------------


def test_applied_catalog_is_published_and_audited_under_one_request(world: World) -> None:
    report = applied(world, CATALOG)
    assert report["hash"] == pulled(world)["hash"]
    pro = world.send("GET", "/v1/plans/pro").json
    assert (pro["status"], pro["version"], pro["has_draft"]) == ("published", 1, False)
    entries = world.store.all(AuditEntry)
    of_catalog = [one for one in entries if one.entity.split(":")[0] in ("plan", "feature")]
    assert len({one.cause for one in of_catalog}) == 1


def test_changed_values_are_applied_whole(world: World) -> None:
    applied(world, CATALOG)
    changed = copied()
    changed["features"][0]["name"] = "SSO"
    changed["products"][0]["metadata"] = {"other": "1"}
    changed["products"][0]["description"] = "The app"
    pro = plan(changed, "pro")
    pro["metadata"] = {"b": "2"}
    report = applied(world, changed)
    assert steps(report) == ["update feature:sso", "update product:app", "update plan:pro"]
    assert diffed(world, changed)["changes"] == []
    assert world.send("GET", "/v1/products/app").json["metadata"] == {"other": "1"}
    assert world.send("GET", "/v1/plans/pro").json["version"] == 2
    del pro["metadata"]
    applied(world, changed)
    assert world.send("GET", "/v1/plans/pro").json["metadata"] == {}


def test_moved_state_is_refused_and_nothing_written(world: World) -> None:
    seen = diffed(world, CATALOG)["hash"]
    world.send("POST", "/v1/products", {"id": "other", "name": "Other"})
    commits = len(world.store.commits)
    answer = world.send("POST", "/v1/catalog/apply", {"catalog": CATALOG, "expected_hash": seen})
    assert (answer.status, answer.json["code"]) == (409, "state_moved")
    assert len(world.store.commits) == commits


def test_what_the_document_lacks_stays_unless_it_is_pruned(world: World) -> None:
    applied(world, CATALOG)
    smaller = copied(addons=[], features=CATALOG["features"][1:])
    pro = plan(smaller, "pro")
    del pro["compatible_addons"]
    pro["entitlements"] = pro["entitlements"][1:]
    report = diffed(world, smaller)
    assert steps(report) == ["update plan:pro"]
    assert report["unmanaged"] == ["feature:sso", "addon:more"]
    report = applied(world, smaller, prune=True)
    assert steps(report) == ["update plan:pro", "archive addon:more", "archive feature:sso"]
    assert report["unmanaged"] == []
    assert world.send("GET", "/v1/addons/more").json["status"] == "archived"
    assert pulled(world)["catalog"]["addons"][0]["archived"] is True
    assert applied(world, smaller, prune=True)["changes"] == []


def test_archived_in_the_document_is_archived_and_back_with_its_changes(world: World) -> None:
    applied(world, CATALOG)
    changed = copied()
    plan(changed, "pro")["archived"] = True
    [change] = applied(world, changed)["changes"]
    assert (change["action"], change["id"]) == ("archive", "pro")
    assert "archive product 'Pro'" in change["effect"]["stripe"]
    found = pulled(world)["catalog"]
    assert found["plans"][1]["archived"] is True
    assert diffed(world, found)["changes"] == []
    back = copied()
    plan(back, "pro")["name"] = "Pro again"
    assert steps(applied(world, back)) == ["unarchive plan:pro", "update plan:pro"]
    assert world.send("GET", "/v1/plans/pro").json["name"] == "Pro again"


def test_everything_archived_is_archived_in_reverse_and_comes_back(world: World) -> None:
    applied(world, CATALOG)
    gone = copied()
    for section in gone.values():
        for one in section:
            one["archived"] = True
    kinds = [one.split()[1].split(":")[0] for one in steps(applied(world, gone))]
    assert kinds == ["plan", "plan", "addon", "product", "feature", "feature", "feature"]
    assert len(applied(world, CATALOG)["changes"]) == 7
    assert diffed(world, CATALOG)["changes"] == []


def test_archived_object_that_is_not_there_is_not_made(world: World) -> None:
    catalog = copied()
    plan(catalog, "pro")["archived"] = True
    assert "create plan:pro" not in steps(applied(world, catalog))
    assert world.send("GET", "/v1/plans/pro").status == 404
    assert applied(world, catalog)["changes"] == []


def test_pending_draft_stays_while_the_document_is_what_is_sold(world: World) -> None:
    applied(world, CATALOG)
    world.send("PATCH", "/v1/plans/pro", {"name": "Professional"})
    report = applied(world, CATALOG)
    assert (report["changes"], report["drafts"]) == ([], ["plan:pro"])
    assert world.send("GET", "/v1/plans/pro?version=draft").json["name"] == "Professional"


def test_draft_of_other_content_is_replaced_and_said_to_be(world: World) -> None:
    applied(world, CATALOG)
    world.send("PATCH", "/v1/plans/pro", {"name": "Mine", "metadata": {"mine": "1"}})
    changed = copied()
    plan(changed, "pro")["name"] = "Ours"
    [change] = applied(world, changed)["changes"]
    assert (change["action"], change["replaces_draft"]) == ("update", True)
    pro = world.send("GET", "/v1/plans/pro").json
    assert (pro["name"], pro["metadata"], pro["has_draft"]) == ("Ours", {}, False)


def test_draft_that_is_what_the_document_says_is_published(world: World) -> None:
    applied(world, CATALOG)
    world.send("PATCH", "/v1/plans/pro", {"name": "Ours"})
    changed = copied()
    plan(changed, "pro")["name"] = "Ours"
    assert steps(applied(world, changed)) == ["publish plan:pro"]


def test_parent_and_addon_are_published_before_whoever_needs_them(world: World) -> None:
    applied(world, CATALOG)
    changed = copied()
    changed["plans"].append(
        {"id": "a-team", "product_id": "app", "name": "Team", "parent_plan_id": "pro"}
    )
    plan(changed, "pro")["entitlements"].append({"feature_id": "seats", "usage_limit": 3})
    report = applied(world, changed)
    assert steps(report) == ["update plan:pro", "create plan:a-team"]


def test_apply_cut_short_anywhere_is_finished_by_the_next(world: World) -> None:
    for number in range(1, 40):
        left = [number]

        def cut(writes: tuple[Write, ...], left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0:
                raise StoreUnavailableError("gone")

        world.store.records = {
            key: record
            for key, record in world.store.records.items()
            if key[0].__name__ == "ApiKey"
        }
        expected = pulled(world)["hash"]
        world.store.before_commit = cut
        answer = world.send(
            "POST", "/v1/catalog/apply", {"catalog": CATALOG, "expected_hash": expected}
        )
        world.store.before_commit = None
        rest = applied(world, CATALOG)
        assert (answer.status == 200) == (rest["changes"] == [])
        assert diffed(world, CATALOG)["changes"] == []
        found = world.store.get(Package, PackageKind.PLAN, "pro")
        assert found is not None
        assert (found.latest_version, found.draft) == (1, None)
        if answer.status == 200:
            break
    else:
        raise AssertionError("never done")
    assert number > 9


def test_object_changed_meanwhile_is_not_overwritten(world: World) -> None:
    applied(world, CATALOG)
    changed = copied()
    plan(changed, "pro")["name"] = "Ours"
    body = {"catalog": changed, "expected_hash": pulled(world)["hash"]}
    done: list[bool] = []

    def meddle(writes: tuple[Write, ...]) -> None:
        if not done:
            done.append(True)
            world.send("PATCH", "/v1/plans/pro", {"name": "Theirs"})

    world.store.before_commit = meddle
    answer = world.send("POST", "/v1/catalog/apply", body)
    world.store.before_commit = None
    assert (answer.status, answer.json["code"]) == (409, "version_conflict")
    assert world.send("GET", "/v1/plans/pro?version=draft").json["name"] == "Theirs"


COUPONS: list[Json] = [
    {"id": "ten", "name": "Ten", "percent_off": 10.5, "promotion_code": "TEN"},
    {
        "id": "five",
        "name": "Five",
        "amounts_off": [{"amount": 500, "currency": "usd"}],
        "duration": "repeating",
        "duration_months": 3,
        "metadata": {"a": "1"},
    },
]


def test_coupons_are_made_renamed_archived_and_back(world: World) -> None:
    report = applied(world, copied(coupons=COUPONS))
    assert steps(report)[-2:] == ["create coupon:five", "create coupon:ten"]
    assert report["changes"][-1]["effect"]["stripe"] == ["new coupon 'Ten'"]
    found = pulled(world)["catalog"]
    assert found["coupons"] == [COUPONS[1], COUPONS[0]]
    assert applied(world, found)["changes"] == []
    changed = copied(coupons=COUPONS)
    changed["coupons"][1] |= {"name": "Five off", "metadata": {"b": "2"}}
    changed["coupons"][0]["archived"] = True
    assert steps(applied(world, changed)) == ["update coupon:five", "archive coupon:ten"]
    assert world.send("GET", "/v1/coupons/five").json["metadata"] == {"b": "2"}
    back = copied(coupons=COUPONS)
    assert steps(applied(world, back)) == ["update coupon:five", "unarchive coupon:ten"]
    assert diffed(world, back)["changes"] == []
    assert diffed(world, CATALOG)["unmanaged"] == ["coupon:five", "coupon:ten"]


def test_money_of_a_coupon_never_changes(world: World) -> None:
    applied(world, copied(coupons=COUPONS))
    changed = copied(coupons=COUPONS)
    changed["coupons"][0]["percent_off"] = 20
    changed["coupons"][1]["duration_months"] = 4
    assert refused(world, changed) == {
        "coupons[0].percent_off": "immutable",
        "coupons[1].duration_months": "immutable",
    }


def test_coupon_that_contradicts_itself_is_refused_with_its_place(world: World) -> None:
    found = refused(world, {"coupons": [{"id": "x", "name": "X"}]})
    assert found == {"coupons[0].percent_off": "required"}


# --- bad documents ------------------------------------------------------------------------------


def refused(world: World, catalog: Any, **more: Any) -> dict[str, str]:
    commits = len(world.store.commits)
    answer = world.send("POST", "/v1/catalog/diff", {"catalog": catalog, **more})
    assert answer.status == 422, answer.body
    assert len(world.store.commits) == commits
    return {one["param"]: one["code"] for one in answer.json["errors"]}


def with_plan(**fields: Any) -> Json:
    catalog = copied()
    plan(catalog, "pro").update(fields)
    return catalog


@pytest.mark.parametrize(
    ("catalog", "param", "code"),
    [
        ([], "catalog", "wrong_type"),
        (None, "catalog", "wrong_type"),
        ({"plan": []}, "plan", "unknown_field"),
        ({"plans": {}}, "plans", "wrong_type"),
        ({"features": [{"id": "x", "type": "boolean"}]}, "features[0].name", "required"),
        (
            {"features": [{"id": "x", "name": "X", "type": "bool"}]},
            "features[0].type",
            "unknown_value",
        ),
        ({"products": [{"id": "a b", "name": "X"}]}, "products[0].id", "bad_format"),
        (
            {"products": [{"id": "a", "name": "X", "status": "active"}]},
            "products[0].status",
            "unknown_field",
        ),
        (
            {"products": [{"id": "a", "name": "X", "archived": "yes"}]},
            "products[0].archived",
            "wrong_type",
        ),
        (copied(products=CATALOG["products"] * 2), "products[1].id", "duplicate"),
        (with_plan(product_id="nope"), "plans[0].product_id", "unknown_product"),
        (with_plan(parent_plan_id="nope"), "plans[0].parent_plan_id", "unknown_plan"),
        (with_plan(parent_plan_id="pro"), "plans[0].parent_plan_id", "cycle"),
        (with_plan(prices=[]), "plans[0].prices", "required"),
        (with_plan(compatible_addons=["nope"]), "plans[0].compatible_addons[0]", "unknown_addon"),
        (
            with_plan(entitlements=[{"feature_id": "nope", "value": True}]),
            "plans[0].entitlements[0].feature_id",
            "unknown_feature",
        ),
        (
            with_plan(
                prices=[
                    {"model": "flat_fee", "billing_period": "month", "currency": "USD", "amount": 1}
                ]
            ),
            "plans[0].prices[0].currency",
            "bad_format",
        ),
        (
            with_plan(
                prices=[
                    {"model": "flat_fee", "billing_period": "month", "currency": "xxx", "amount": 1}
                ]
            ),
            "plans[0].prices[0].currency",
            "unknown_currency",
        ),
        (
            with_plan(
                prices=[
                    {
                        "model": "flat_fee",
                        "billing_period": "month",
                        "currency": "usd",
                        "amount": 1.5,
                    }
                ]
            ),
            "plans[0].prices[0].amount",
            "wrong_type",
        ),
    ],
)
def test_bad_document_is_refused_with_the_place_in_it(
    world: World, catalog: Any, param: str, code: str
) -> None:
    found = refused(world, catalog)
    assert found.get(param) == code, found


def test_every_fault_is_named_at_once_and_only_the_root_ones(world: World) -> None:
    catalog = copied()
    catalog["features"][0]["values"] = ["a"]
    plan(catalog, "free")["entitlements"][0]["usage_limit"] = None
    found = refused(world, catalog)
    assert found == {
        "features[0].values": "not_allowed",
        "plans[1].entitlements[0].usage_limit": "required",
    }


def test_apply_of_a_bad_document_writes_nothing(world: World) -> None:
    catalog = with_plan(prices=[])
    commits = len(world.store.commits)
    body = {"catalog": catalog, "expected_hash": pulled(world)["hash"]}
    answer = world.send("POST", "/v1/catalog/apply", body)
    assert (answer.status, answer.json["errors"][0]["param"]) == (422, "plans[0].prices")
    assert len(world.store.commits) == commits
    assert world.queue.messages == []


@pytest.mark.parametrize(
    ("section", "change", "param", "code"),
    [
        ("features", {"type": "numeric"}, "features[0].type", "immutable"),
        ("plans", {"product_id": "other"}, "plans[0].product_id", "immutable"),
    ],
)
def test_what_never_changes_is_refused(
    world: World, section: str, change: Json, param: str, code: str
) -> None:
    applied(world, CATALOG)
    catalog = copied()
    catalog["products"].append({"id": "other", "name": "Other"})
    catalog[section][0].update(change)
    assert refused(world, catalog)[param] == code


def test_values_and_meters_that_are_in_use_stay(world: World) -> None:
    features = [
        {"id": "level", "name": "Level", "type": "enum", "values": ["a", "b"]},
        {"id": "m", "name": "M", "type": "metered", "meter": {"aggregation": "count"}},
    ]
    applied(world, {"features": features})
    changed = json.loads(json.dumps(features))
    changed[0]["values"] = ["b", "c"]
    del changed[1]["meter"]
    found = refused(world, {"features": changed})
    assert found == {"features[0].values": "in_use", "features[1].meter": "immutable"}


def test_circle_of_parents_is_refused(world: World) -> None:
    applied(world, CATALOG)
    catalog = copied()
    plan(catalog, "free")["parent_plan_id"] = "pro"
    found = refused(world, catalog)
    assert "cycle" in found.values()
    assert all(param.endswith("parent_plan_id") for param in found)


def test_feature_that_is_sold_is_not_archived(world: World) -> None:
    applied(world, CATALOG)
    catalog = copied()
    catalog["features"][2]["archived"] = True
    assert "in_use" in refused(world, catalog).values()
    found = refused(world, copied(features=CATALOG["features"][:2]), prune=True)
    assert found == {"prune": "in_use"}


def test_migration_that_is_not_offered_is_refused_before_anything_is_written(world: World) -> None:
    answer = world.send(
        "POST",
        "/v1/catalog/diff",
        {"catalog": CATALOG, "migration": "everybody"},
    )
    assert (answer.status, answer.json["errors"][0]["param"]) == (422, "migration")


def test_apply_needs_the_hash_of_a_plan(world: World) -> None:
    answer = world.send("POST", "/v1/catalog/apply", {"catalog": CATALOG})
    assert (answer.status, answer.json["errors"][0]["param"]) == (422, "expected_hash")


# --- the schema ---------------------------------------------------------------------------------


def test_schema_takes_what_the_api_takes(world: World) -> None:
    answer = world.send("GET", "/v1/catalog/schema")
    assert answer.status == 200
    schema = answer.json
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(CATALOG, schema)
    applied(world, CATALOG)
    jsonschema.validate(pulled(world)["catalog"], schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"plans": [{"id": "x"}]}, schema)
