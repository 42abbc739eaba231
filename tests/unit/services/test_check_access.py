import json
from dataclasses import replace

import pytest

from chalicelib.domain.decisions import Decision, DeniedReason, Question
from chalicelib.domain.errors import StoreUnavailableError
from chalicelib.domain.features import FeatureType, Lifecycle
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.snapshot_documents import document_of
from chalicelib.ports import Counter, HotRead
from chalicelib.services.check_access import check_access, check_all
from chalicelib.services.known_features import REMEMBERED_FOR, feature_types
from chalicelib.services.manage_customers import set_customer_status
from tests.factories import ACME, a_feature, a_limit, a_price, a_value
from tests.fakes.system import START
from tests.fakes.world import World, a_cause


def a_subscriber() -> World:
    world = World()
    world.sell(
        "pro", a_price(), entitlements=[a_value("sso", True), a_limit("api", 10), a_value("n", 3)]
    )
    world.features(other=FeatureType.METERED)
    world.customer()
    world.buy()
    world.converge()
    return world


def reason(world: World, feature_id: str, customer_id: str = ACME) -> DeniedReason | None:
    return world.check(feature_id, customer_id=customer_id).decision.denied_reason


def test_check_that_grants_reads_once_and_asks_for_no_feature() -> None:
    world = a_subscriber()

    def refuse(_: str) -> str | None:
        raise AssertionError("a grant needs no second read")

    world.reader.reads = 0
    checked = check_access(world.reader, refuse, ACME, "sso", Question(), world.clock.now())
    assert checked.decision.has_access
    assert checked.snapshot_version == world.snapshot().version
    assert world.reader.reads == 1


def test_check_denied_for_a_feature_the_snapshot_knows_reads_once() -> None:
    world = a_subscriber()
    world.reader.usage[ACME] = {"api": Counter(10, 0)}

    def refuse(_: str) -> str | None:
        raise AssertionError("the snapshot knows the type")

    checked = check_access(world.reader, refuse, ACME, "api", Question(), world.clock.now())
    assert checked.decision.denied_reason is DeniedReason.REQUESTED_USAGE_EXCEEDING_LIMIT


def test_check_tells_each_denial_by_its_reason() -> None:
    world = a_subscriber()
    world.customer("bare")
    assert reason(world, "sso") is None
    assert reason(world, "other") is DeniedReason.NO_FEATURE_ENTITLEMENT
    assert reason(world, "ghost") is DeniedReason.FEATURE_NOT_FOUND
    assert reason(world, "sso", "bare") is DeniedReason.NO_ACTIVE_SUBSCRIPTION
    assert reason(world, "ghost", "bare") is DeniedReason.FEATURE_NOT_FOUND
    assert reason(world, "sso", "ghost") is DeniedReason.CUSTOMER_NOT_FOUND
    set_customer_status(world.ports, a_cause(), ACME, Lifecycle.ARCHIVED)
    assert reason(world, "sso") is DeniedReason.CUSTOMER_IS_ARCHIVED
    assert reason(world, "ghost") is DeniedReason.CUSTOMER_IS_ARCHIVED


def test_check_denied_for_an_ungranted_feature_still_tells_its_type() -> None:
    world = a_subscriber()
    decision = world.check("other").decision
    assert decision.feature_type == "metered"


def test_check_of_a_snapshot_of_an_earlier_release_is_answered() -> None:
    world = a_subscriber()
    snapshot = world.snapshot()
    plain = json.dumps(document_of(snapshot.document), separators=(",", ":"), sort_keys=True)
    expected = [world.check(feature_id) for feature_id in ("sso", "api", "n", "other")]
    world.put(replace(snapshot, document=plain))
    found = [world.check(feature_id) for feature_id in ("sso", "api", "n", "other")]
    assert found == expected
    world.converge()
    assert world.snapshot().document.startswith("{'")


def test_check_of_unknown_customer_has_no_snapshot_version() -> None:
    assert a_subscriber().check("sso", customer_id="ghost").snapshot_version is None


def test_check_that_cannot_read_raises_and_never_denies() -> None:
    class Down:
        def read(self, customer_id: CustomerId, *, consistent: bool) -> HotRead | None:
            raise StoreUnavailableError("away")

    with pytest.raises(StoreUnavailableError):
        check_access(Down(), lambda _: None, ACME, "sso", Question(), START)
    with pytest.raises(StoreUnavailableError):
        check_all(Down(), ACME, START)


def test_check_all_tells_the_state_of_every_feature_in_order() -> None:
    world = a_subscriber()
    world.reader.usage[ACME] = {"api": Counter(10, 0)}
    world.reader.reads = 0
    answers = check_all(world.reader, ACME, world.clock.now())
    assert answers is not None
    assert world.reader.reads == 1
    assert list(answers) == ["api", "n", "sso"]
    assert all(answer.decision.has_access for answer in answers.values())
    assert answers["api"].decision.requested_usage == 0
    assert answers["n"].decision == Decision(
        None, "numeric", value=3, sources=answers["n"].decision.sources
    )
    assert check_all(world.reader, CustomerId("ghost"), world.clock.now()) is None


def test_feature_types_are_remembered_for_a_moment_and_then_read_again() -> None:
    world = World()
    world.put(a_feature("one"))
    assert feature_types(world.ports) == {"one": "metered"}
    world.put(a_feature("two", FeatureType.BOOLEAN))
    assert feature_types(world.ports) == {"one": "metered"}
    world.clock.advance(seconds=REMEMBERED_FOR.total_seconds())
    assert feature_types(world.ports) == {"one": "metered", "two": "boolean"}


def test_feature_types_of_another_environment_are_never_mixed_in() -> None:
    one, other = World(), World()
    one.put(a_feature("one"))
    other.put(replace(a_feature("two")))
    assert feature_types(one.ports) == {"one": "metered"}
    assert feature_types(other.ports) == {"two": "metered"}
    assert feature_types(one.ports) == {"one": "metered"}
