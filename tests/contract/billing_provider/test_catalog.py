"""Products and prices: what a step leaves behind is what the next look finds."""

from dataclasses import replace

import pytest

from chalicelib.domain.billing import (
    ArchivePrice,
    CreatePrice,
    CreateProduct,
    SetDefaultPrice,
    UpdatePrice,
    UpdateProduct,
)
from chalicelib.domain.catalog_mirror import steps_between
from chalicelib.domain.errors import ProviderRefusedError, ProviderUnavailableError
from tests.contract.billing_provider.samples import (
    KEY,
    MONTHLY,
    PRODUCT,
    SEATS,
    mirror_price,
    mirror_product,
    observed,
    publish,
)
from tests.contract.billing_provider.worlds import RemoteWorld, World

NEW_MONTHLY = mirror_price(1200)


def test_product_never_made_is_not_there(world: World) -> None:
    assert world.provider.observe_product("pg_test_plan_none") is None


def test_product_made_is_observed_as_it_was_wished(world: World) -> None:
    publish(world.provider, MONTHLY, SEATS)
    found = observed(world.provider)
    assert (found.billing_id, found.name, found.description) == (KEY, "Pro", "For teams")
    assert found.active
    assert found.metadata == PRODUCT.metadata
    assert {price.fingerprint for price in found.prices} == {
        MONTHLY.fingerprint,
        SEATS.fingerprint,
    }
    assert {price.lookup_key for price in found.prices} == {MONTHLY.lookup_key, SEATS.lookup_key}
    assert all(price.active for price in found.prices)
    (monthly,) = [price for price in found.prices if price.lookup_key == MONTHLY.lookup_key]
    assert monthly.metadata == MONTHLY.metadata
    assert found.default_price == monthly.billing_id


def test_product_made_twice_is_the_one_last_wished(world: World) -> None:
    world.provider.apply(CreateProduct(product=PRODUCT), "one")
    renamed = mirror_product(name="Professional")
    assert world.provider.apply(CreateProduct(product=renamed), "two") == KEY
    assert observed(world.provider).name == "Professional"


def test_product_update_keeps_foreign_metadata_and_drops_what_is_unset(world: World) -> None:
    world.provider.apply(
        CreateProduct(product=replace(PRODUCT, metadata={"theirs": "1", "old": "2"})), "one"
    )
    step = UpdateProduct(
        product=replace(mirror_product(name="P2", active=False), description=None),
        unset_metadata=("old",),
    )
    world.provider.apply(step, "two")
    found = observed(world.provider)
    assert (found.name, found.description, found.active) == ("P2", None, False)
    assert found.metadata == {"theirs": "1", **PRODUCT.metadata}


def test_product_update_repeated_under_its_key_undoes_a_dashboard_edit(world: World) -> None:
    world.provider.apply(CreateProduct(product=PRODUCT), "one")
    world.provider.apply(UpdateProduct(product=PRODUCT), "two")
    world.rename_product(KEY, "Edited")
    assert observed(world.provider).name == "Edited"
    world.provider.apply(UpdateProduct(product=PRODUCT), "two")
    assert observed(world.provider).name == "Pro"


def test_product_missing_takes_no_update(world: World) -> None:
    with pytest.raises(ProviderRefusedError):
        world.provider.apply(UpdateProduct(product=PRODUCT), "one")


def test_price_of_missing_product_is_refused(world: World) -> None:
    with pytest.raises(ProviderRefusedError):
        world.provider.apply(CreatePrice(product_key=KEY, price=MONTHLY), "one")


def test_price_made_twice_under_one_key_is_one_price(world: World) -> None:
    (made,) = publish(world.provider, MONTHLY)
    step = CreatePrice(product_key=KEY, price=MONTHLY)
    assert world.provider.apply(step, "price-0") == made
    assert len(observed(world.provider).prices) == 1


def test_price_made_under_a_key_of_another_is_refused(world: World) -> None:
    publish(world.provider, MONTHLY)
    with pytest.raises(ProviderRefusedError) as refused:
        world.provider.apply(CreatePrice(product_key=KEY, price=SEATS), "price-0")
    assert refused.value.provider_code == "idempotency_error"


def test_price_replaced_hands_over_its_lookup_key(world: World) -> None:
    (old,) = publish(world.provider, MONTHLY)
    new = world.provider.apply(CreatePrice(product_key=KEY, price=NEW_MONTHLY), "new")
    slots = {price.billing_id: price.lookup_key for price in observed(world.provider).prices}
    assert slots == {old: None, new: MONTHLY.lookup_key}


def test_default_price_cannot_be_archived_until_another_is(world: World) -> None:
    (old,) = publish(world.provider, MONTHLY)
    with pytest.raises(ProviderRefusedError):
        world.provider.apply(ArchivePrice(billing_id=old), "early")
    new = world.provider.apply(CreatePrice(product_key=KEY, price=NEW_MONTHLY), "new")
    default = SetDefaultPrice(product_key=KEY, lookup_key=MONTHLY.lookup_key)
    world.provider.apply(default, "default-new")
    world.provider.apply(ArchivePrice(billing_id=old), "late")
    found = observed(world.provider)
    assert found.default_price == new
    assert {price.billing_id: price.active for price in found.prices} == {old: False, new: True}


def test_default_price_unset_lets_the_last_price_be_archived(world: World) -> None:
    (only,) = publish(world.provider, MONTHLY)
    world.provider.apply(SetDefaultPrice(product_key=KEY, lookup_key=None), "unset")
    world.provider.apply(ArchivePrice(billing_id=only), "archive")
    found = observed(world.provider)
    assert found.default_price is None
    assert [price.active for price in found.prices] == [False]


def test_archived_price_is_archived_again_without_complaint(world: World) -> None:
    publish(world.provider, MONTHLY, SEATS)
    seats = observed_id(world, SEATS.lookup_key)
    for key in ("one", "two"):
        world.provider.apply(ArchivePrice(billing_id=seats), key)
    assert len(observed(world.provider).prices) == 2


def test_price_archived_by_somebody_is_brought_back_with_slot_and_metadata(world: World) -> None:
    publish(world.provider, MONTHLY, SEATS)
    seats = observed_id(world, SEATS.lookup_key)
    world.archive_price(seats)
    changed = replace(SEATS, metadata={"more": "1"})
    step = UpdatePrice(billing_id=seats, price=changed, unset_metadata=("paygrade_entity_id",))
    assert world.provider.apply(step, "back") == seats
    (found,) = [one for one in observed(world.provider).prices if one.billing_id == seats]
    assert found.active
    assert found.lookup_key == SEATS.lookup_key
    assert found.metadata == {"more": "1"}


def test_update_of_missing_price_is_refused(world: World) -> None:
    with pytest.raises(ProviderRefusedError):
        world.provider.apply(UpdatePrice(billing_id="price_none", price=SEATS), "one")


def test_price_whose_answer_was_lost_is_there_and_the_key_finds_it(world: World) -> None:
    world.provider.apply(CreateProduct(product=PRODUCT), "product")
    world.lose_answer("apply")
    step = CreatePrice(product_key=KEY, price=MONTHLY)
    with pytest.raises(ProviderUnavailableError) as lost:
        world.provider.apply(step, "price")
    assert not lost.value.definite
    (found,) = observed(world.provider).prices
    assert world.provider.apply(step, "price") == found.billing_id


def test_price_whose_creation_failed_for_good_needs_another_look_and_key(
    remote_world: RemoteWorld,
) -> None:
    remote_world.provider.apply(CreateProduct(product=PRODUCT), "product")
    remote_world.fail_after("apply")
    step = CreatePrice(product_key=KEY, price=MONTHLY)
    for _ in range(2):
        with pytest.raises(ProviderUnavailableError) as failed:
            remote_world.provider.apply(step, "price")
        assert failed.value.definite
    assert len(observed(remote_world.provider).prices) == 1


def test_steps_between_wish_and_truth_lead_there_and_then_end(world: World) -> None:
    wishes = [
        mirror_product(MONTHLY, SEATS),
        mirror_product(NEW_MONTHLY, SEATS, name="Pro 2"),
        mirror_product(SEATS),
        mirror_product(MONTHLY, SEATS),
        mirror_product(active=False),
        mirror_product(NEW_MONTHLY),
    ]
    for turn, wish in enumerate(wishes):
        steps = steps_between(wish, world.provider.observe_product(KEY))
        assert steps
        for index, step in enumerate(steps):
            world.provider.apply(step, f"{turn}-{index}")
        assert steps_between(wish, world.provider.observe_product(KEY)) == ()


def observed_id(world: World, lookup_key: str) -> str:
    found = observed(world.provider).prices
    return next(price.billing_id for price in found if price.lookup_key == lookup_key)
