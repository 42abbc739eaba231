from datetime import datetime
from functools import partial
from typing import Any

import pytest

from chalicelib.domain.decisions import DeniedReason, Question
from chalicelib.domain.entitlements import Behavior, Entitlement
from chalicelib.domain.errors import (
    ArchivedError,
    InvalidError,
    NotFoundError,
    RevokedError,
    VersionConflictError,
)
from chalicelib.domain.features import FeatureType, Lifecycle
from chalicelib.domain.grants import REMEMBERED_FOR, Grant, GrantStatus
from chalicelib.domain.ids import CustomerId, FeatureId
from chalicelib.domain.snapshot_documents import document_of
from chalicelib.domain.snapshots import MAX_REVOKED
from chalicelib.ports import Counter
from chalicelib.services import manage_grants
from chalicelib.services.manage_customers import set_customer_status
from chalicelib.services.manage_grants import change_grant, get_grant, give_grant, revoke_grant
from tests.factories import ACME, a_feature, a_limit, a_price, a_value, later
from tests.fakes.crashes import Interleaving, every_crash, overtakings, schedules
from tests.fakes.world import World, a_cause


def a_shop() -> World:
    """A customer without anything, and features of each type."""
    world = World()
    world.features(
        sso=FeatureType.BOOLEAN,
        api=FeatureType.METERED,
        projects=FeatureType.NUMERIC,
        regions=FeatureType.ENUM,
    )
    world.customer()
    return world


def a_subscriber() -> World:
    world = a_shop()
    world.sell("pro", a_price(), entitlements=[a_limit("api", 10)])
    world.buy()
    world.converge()
    return world


def give(
    world: World, entitlement: Entitlement | None = None, operation: str = "op_g", **fields: Any
) -> Grant:
    wanted = entitlement or a_value("sso", True)
    return give_grant(world.ports, a_cause(operation), ACME, wanted, **fields)


def change(world: World, grant: Grant, version: int | None = None, **changes: Any) -> Grant:
    return change_grant(world.ports, a_cause(), ACME, grant.id, changes, version=version)


def revoke(world: World, grant: Grant, reason: str | None = None) -> Grant:
    return revoke_grant(world.ports, a_cause(), ACME, grant.id, reason)


def reason_of(world: World, feature_id: str = "sso") -> DeniedReason | None:
    return world.check(feature_id).decision.denied_reason


def violation(error: pytest.ExceptionInfo[InvalidError]) -> tuple[str, str]:
    [found] = error.value.violations
    return found.param, found.code


# --- giving -----------------------------------------------------------------------------------------------


def test_grant_for_life_counts_at_once_and_without_end() -> None:
    world = a_shop()
    version = world.snapshot().version
    grant = give(world)
    decision = world.check("sso").decision
    assert decision.has_access
    assert decision.valid_until_ms is None
    assert [(one["type"], one["id"]) for one in decision.sources] == [("grant", grant.id)]
    assert world.snapshot().version == version + 1


def test_grant_with_an_end_counts_until_that_instant() -> None:
    world = a_shop()
    give(world, expires_at=later(days=3))
    world.clock.advance(days=3, microseconds=-1000)
    assert reason_of(world) is None
    world.clock.advance(microseconds=1000)
    assert reason_of(world) is DeniedReason.NO_ACTIVE_SUBSCRIPTION


@pytest.mark.parametrize(
    ("entitlement", "feature_id"),
    [
        (a_value("projects", 5), "projects"),
        (Entitlement(feature_id=FeatureId("regions"), values=("a",)), "regions"),
        (a_limit("api", 3), "api"),
        (a_limit("api", None), "api"),
    ],
)
def test_grant_of_any_type_of_feature_gives_it(entitlement: Entitlement, feature_id: str) -> None:
    world = a_shop()
    give(world, entitlement)
    assert world.check(feature_id).decision.has_access


@pytest.mark.parametrize(("limit", "expected"), [(7, 10), (25, 25)])
def test_grant_beside_a_plan_the_more_generous_wins(limit: int, expected: int) -> None:
    world = a_subscriber()
    give(world, a_limit("api", limit))
    assert world.check("api").decision.usage_limit == expected


def test_grants_that_increment_add_to_the_plan() -> None:
    world = a_subscriber()
    for number in range(3):
        give(world, a_limit("api", 5, behavior=Behavior.INCREMENT), f"op_{number}")
    assert world.check("api").decision.usage_limit == 25


def test_grant_survives_what_happens_to_subscriptions() -> None:
    world = a_subscriber()
    give(world, a_limit("api", 25))
    [held] = world.subscriptions()
    assert held.billing_id is not None
    world.billing.cancel(held.billing_id)
    world.converge()
    [ended] = world.subscriptions()
    assert not ended.is_live
    assert world.check("api").decision.usage_limit == 25


def test_grant_that_expired_is_left_out_of_the_next_snapshot() -> None:
    world = a_subscriber()
    give(world, expires_at=later(days=3))
    world.clock.advance(days=4)
    world.converge()
    assert "sso" not in document_of(world.snapshot().document)["features"]


def test_grant_again_by_the_same_operation_is_the_same_grant() -> None:
    world = a_shop()
    first = give(world)
    version = world.snapshot().version
    assert give(world) == first
    assert world.snapshot().version == version
    assert give(world, operation="op_other").id != first.id


def test_grant_is_told_in_the_audit_log_with_its_reason() -> None:
    world = a_shop()
    grant = give(world, reason="goodwill", expires_at=later(days=1))
    revoke(world, grant, "abuse")
    made, revoked = world.audited(f"grant:{grant.id}")
    assert made.after is not None
    assert (made.action, made.after["reason"]) == ("grant.created", "goodwill")
    assert made.after["customer_id"] == ACME
    assert revoked.after is not None
    assert (revoked.action, revoked.after["reason"]) == ("grant.revoked", "abuse")


@pytest.mark.parametrize(
    ("entitlement", "param", "code"),
    [
        (a_value("ghost", True), "feature_id", "unknown_feature"),
        (a_value("sso", 3), "value", "required"),
        (a_limit("sso", 3, value=True), "usage_limit", "not_allowed"),
        (a_limit("api", -1), "usage_limit", "out_of_range"),
        (Entitlement(feature_id=FeatureId("regions"), values=("z",)), "values", "unknown_value"),
        (
            a_value("sso", True, depends_on_feature_id=FeatureId("projects")),
            "depends_on_feature_id",
            "missing_dependency",
        ),
        (
            a_value("sso", True, depends_on_feature_id=FeatureId("sso")),
            "depends_on_feature_id",
            "cycle",
        ),
    ],
)
def test_grant_that_contradicts_its_feature_is_refused_and_writes_nothing(
    entitlement: Entitlement, param: str, code: str
) -> None:
    world = a_subscriber()
    commits = len(world.store.commits)
    with pytest.raises(InvalidError) as error:
        give(world, entitlement)
    assert violation(error) == (param, code)
    assert len(world.store.commits) == commits


def test_grant_of_an_archived_feature_is_refused() -> None:
    world = a_shop()
    world.put(a_feature("old", FeatureType.BOOLEAN, status=Lifecycle.ARCHIVED))
    with pytest.raises(InvalidError) as error:
        give(world, a_value("old", True))
    assert violation(error) == ("feature_id", "archived")


@pytest.mark.parametrize("source", ["plan", "grant"])
def test_grant_that_depends_on_what_the_customer_has_is_given(source: str) -> None:
    world = a_subscriber() if source == "plan" else a_shop()
    if source == "grant":
        give(world, a_limit("api", 1), "op_needed")
    give(world, a_value("sso", True, depends_on_feature_id=FeatureId("api")))
    assert world.check("sso").decision.has_access


@pytest.mark.parametrize("at", [later(), later(days=-1)])
def test_grant_that_would_be_over_already_is_refused(at: datetime) -> None:
    with pytest.raises(InvalidError) as error:
        give(a_shop(), expires_at=at)
    assert violation(error) == ("expires_at", "out_of_range")


def test_grant_to_nobody_and_to_an_archived_customer_is_refused() -> None:
    world = a_shop()
    with pytest.raises(NotFoundError):
        give_grant(world.ports, a_cause(), CustomerId("ghost"), a_value("sso", True))
    set_customer_status(world.ports, a_cause(), ACME, Lifecycle.ARCHIVED)
    with pytest.raises(ArchivedError):
        give(world)


def test_grants_beyond_what_a_record_holds_are_refused_and_revoking_makes_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = a_subscriber()
    grants = [give(world, a_limit("api", number), f"op_{number}") for number in range(20)]
    monkeypatch.setattr(manage_grants, "MAX_SNAPSHOT_BYTES", len(world.snapshot().document) + 10)
    with pytest.raises(InvalidError) as error:
        give(world)
    assert violation(error) == ("", "too_many_grants")
    revoke(world, grants[0])
    revoke(world, grants[1])
    assert give(world).status(world.clock.now()) is GrantStatus.ACTIVE


def test_grants_at_their_limit_leave_half_as_much_to_subscriptions() -> None:
    assert manage_grants.MAX_SNAPSHOT_BYTES <= 400 * 1024 * 2 / 3


# --- changing ---------------------------------------------------------------------------------------------


def test_grant_extended_counts_for_longer_even_after_it_expired() -> None:
    world = a_shop()
    grant = give(world, expires_at=later(days=1))
    world.clock.advance(days=2)
    assert reason_of(world) is not None
    changed = change(world, grant, expires_at=later(days=3), reason="asked again")
    assert (changed.version, changed.reason) == (2, "asked again")
    assert reason_of(world) is None
    assert change(world, grant, expires_at=None).expires_at is None


def test_grant_changed_to_what_it_is_writes_nothing() -> None:
    world = a_shop()
    grant = give(world, expires_at=later(days=1))
    commits = len(world.store.commits)
    assert change(world, grant, expires_at=later(days=1)) == grant
    assert len(world.store.commits) == commits


def test_grant_changed_to_have_ended_is_refused() -> None:
    world = a_shop()
    grant = give(world)
    with pytest.raises(InvalidError) as error:
        change(world, grant, expires_at=later())
    assert violation(error) == ("expires_at", "out_of_range")


def test_grant_seen_at_another_version_is_not_changed() -> None:
    world = a_shop()
    grant = give(world)
    change(world, grant, reason="one")
    with pytest.raises(VersionConflictError):
        change(world, grant, 1, reason="two")


def test_grant_that_was_revoked_takes_no_changes() -> None:
    world = a_shop()
    grant = give(world)
    revoke(world, grant)
    with pytest.raises(RevokedError):
        change(world, grant, expires_at=later(days=9))


# --- revoking ---------------------------------------------------------------------------------------------


def test_grant_revoked_gives_nothing_and_checks_say_so() -> None:
    world = a_shop()
    grant = revoke(world, give(world))
    assert grant.status(world.clock.now()) is GrantStatus.REVOKED
    assert reason_of(world) is DeniedReason.REVOKED
    assert world.check("sso").decision.feature_type == "boolean"


def test_grant_revoked_while_something_else_gives_the_feature_leaves_that() -> None:
    world = a_subscriber()
    world.reader.usage[ACME] = {"api": Counter(10, 0)}
    revoke(world, give(world, a_limit("api", 25)))
    assert reason_of(world, "api") is DeniedReason.REQUESTED_USAGE_EXCEEDING_LIMIT
    assert world.check("api", Question(usage=0)).decision.has_access


def test_grant_revoked_and_given_again_gives_the_feature() -> None:
    world = a_shop()
    revoke(world, give(world))
    give(world, operation="op_again")
    assert reason_of(world) is None


def test_grant_revoked_twice_or_after_its_end_stays_as_it_is() -> None:
    world = a_shop()
    grant = revoke(world, give(world))
    world.clock.advance(days=1)
    assert revoke(world, grant) == grant
    ended = give(world, operation="op_short", expires_at=later(days=2))
    world.clock.advance(days=2)
    assert revoke(world, ended) == ended


def test_grants_revoked_are_remembered_up_to_a_number_and_a_time() -> None:
    world = a_shop()
    grants: list[Grant] = []
    for number in range(MAX_REVOKED + 1):
        world.features(**{f"f{number:03}": FeatureType.BOOLEAN})
        grants.append(give(world, a_value(f"f{number:03}", True), f"op_{number}"))
        revoke(world, grants[-1])
        world.clock.advance(seconds=1)
    assert reason_of(world, "f000") is DeniedReason.NO_ACTIVE_SUBSCRIPTION
    assert reason_of(world, "f001") is DeniedReason.REVOKED
    world.clock.advance(days=REMEMBERED_FOR.days, seconds=1)
    give(world)
    assert "revoked" not in document_of(world.snapshot().document)
    with pytest.raises(NotFoundError):
        get_grant(world.ports, ACME, grants[0].id)


def test_grant_unknown_is_not_found() -> None:
    world = a_shop()
    for act in (
        partial(change_grant, world.ports, a_cause(), ACME, "grant_x", {}),
        partial(revoke_grant, world.ports, a_cause(), ACME, "grant_x"),
    ):
        with pytest.raises(NotFoundError):
            act()


# --- crashes and races ------------------------------------------------------------------------------------


def test_grant_killed_anywhere_is_finished_by_a_retry() -> None:
    for world in every_crash(a_shop, give):
        give(world)
        assert reason_of(world) is None
        assert len(world.store.all(Grant)) == 1


def test_grants_beside_a_convergence_keep_both_in_any_order() -> None:
    for schedule in (*overtakings(12), *schedules(3, 3)):
        world = a_shop()
        world.sell("pro", a_price(), entitlements=[a_limit("api", 10)])
        world.buy()
        race = Interleaving(world, [partial(give, world), world.converge])
        race.run(schedule)
        assert race.errors == [None, None], schedule
        assert reason_of(world) is None, schedule
        assert reason_of(world, "api") is None, schedule


def test_two_grants_at_once_are_both_kept() -> None:
    for schedule in (*overtakings(8), *schedules(3, 3)):
        world = a_shop()
        race = Interleaving(
            world,
            [partial(give, world), partial(give, world, a_limit("api", 1), operation="op_b")],
        )
        race.run(schedule)
        assert race.errors == [None, None], schedule
        assert (reason_of(world), reason_of(world, "api")) == (None, None), schedule


def test_extending_beside_revoking_never_brings_access_back() -> None:
    for schedule in (*overtakings(8), *schedules(3, 3)):
        world = a_shop()
        grant = give(world, expires_at=later(days=1))
        race = Interleaving(
            world,
            [
                partial(change, world, grant, expires_at=later(days=9)),
                partial(revoke, world, grant),
            ],
        )
        race.run(schedule)
        assert race.errors[1] is None, schedule
        assert reason_of(world) is DeniedReason.REVOKED, schedule
