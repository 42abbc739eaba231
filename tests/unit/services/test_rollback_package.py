"""Going back to what was sold before."""

import pytest

from chalicelib.domain.errors import DraftExistsError, InvalidError, NotFoundError
from chalicelib.domain.features import Lifecycle
from chalicelib.domain.plans import Package, PackageVersion, Rollout
from chalicelib.services.publish_package import publish_package
from chalicelib.services.rollback_package import rollback_package
from tests.factories import a_feature
from tests.fakes.crashes import every_crash
from tests.fakes.migrating import EVERYBODY, FREE, PLAN, Shop
from tests.fakes.world import World, a_cause


def a_shop_at_its_second_version() -> Shop:
    shop = Shop()
    shop.subscribe_free("ann")
    shop.draft(FREE, name="Second")
    publish_package(shop.ports, a_cause("2"), PLAN, FREE, EVERYBODY)
    shop.work()
    return shop


def roll_back(world: World, number: int = 1, *, discard_draft: bool = False) -> PackageVersion:
    _, version = rollback_package(
        world.ports, a_cause("back"), PLAN, FREE, number, EVERYBODY, discard_draft=discard_draft
    )
    return version


def test_rollback_publishes_the_old_content_under_a_new_number() -> None:
    shop = a_shop_at_its_second_version()
    version = roll_back(shop)
    first = shop.store.get(PackageVersion, PLAN, "free", f"{1:010d}")
    assert first is not None
    assert (version.number, version.content) == (3, first.content)


def test_rollback_for_everybody_gives_back_what_they_had() -> None:
    shop = a_shop_at_its_second_version()
    assert shop.check("calls", customer_id="ann").decision.usage_limit == 50
    roll_back(shop)
    shop.work()
    assert shop.versions("free") == {"ann": 3}
    assert shop.check("calls", customer_id="ann").decision.usage_limit == 100


def test_rollback_repeated_publishes_once() -> None:
    shop = a_shop_at_its_second_version()
    assert roll_back(shop).number == roll_back(shop).number == 3


def test_rollback_killed_at_any_step_is_finished_by_its_repetition() -> None:
    for world in every_crash(a_shop_at_its_second_version, roll_back):
        assert roll_back(world).number == 3


def test_rollback_with_a_draft_needs_leave_to_discard_it() -> None:
    shop = a_shop_at_its_second_version()
    shop.draft(FREE, name="Third")
    with pytest.raises(DraftExistsError):
        roll_back(shop)
    assert roll_back(shop, discard_draft=True).number == 3
    package = shop.store.get(Package, PLAN, "free")
    assert package is not None
    assert package.draft is None


def test_rollback_to_a_version_that_never_was_is_not_found() -> None:
    with pytest.raises(NotFoundError):
        roll_back(a_shop_at_its_second_version(), 7)


def test_rollback_to_what_can_not_be_sold_any_more_is_invalid() -> None:
    shop = a_shop_at_its_second_version()
    shop.put(a_feature("calls", status=Lifecycle.ARCHIVED))
    with pytest.raises(InvalidError):
        roll_back(shop)


def test_rollback_for_new_customers_moves_nobody() -> None:
    shop = a_shop_at_its_second_version()
    rollback_package(shop.ports, a_cause("b"), PLAN, FREE, 1, Rollout(), discard_draft=False)
    shop.work()
    assert shop.versions("free") == {"ann": 2}
