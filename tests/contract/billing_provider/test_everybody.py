"""Telling of every customer, whoever made it, for those who can."""

import pytest

from chalicelib.domain.billing import ListedCustomer
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import InvalidError
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import CustomerSource
from tests.contract.billing_provider.worlds import START, RemoteWorld


def source(world: RemoteWorld) -> CustomerSource:
    assert isinstance(world.provider, CustomerSource)
    return world.provider


def people(world: RemoteWorld, *names: str) -> dict[str, str]:
    """They are customers, with a name and an address; returns their names by id."""
    made: dict[str, str] = {}
    for name in names:
        metadata = {"customer_id": name}
        billing_id = world.provider.ensure_customer(metadata, name).billing_id
        customer = Customer(
            id=CustomerId(name), name=name.title(), email=f"{name}@mail.example", created_at=START
        )
        world.provider.update_customer(billing_id, customer)
        made[billing_id] = name
    return made


def listed(world: RemoteWorld, limit: int) -> list[ListedCustomer]:
    found: list[ListedCustomer] = []
    cursor: str | None = None
    while True:
        page = source(world).list_customers(cursor, limit)
        assert len(page.customers) <= limit
        found += page.customers
        cursor = page.next_cursor
        if cursor is None:
            return found


def test_listed_customer_is_told_with_name_address_and_metadata(telling_world: RemoteWorld) -> None:
    tells = source(telling_world)
    [billing_id] = people(telling_world, "acme")
    [found] = tells.list_customers(None, 10).customers
    assert found.customer == telling_world.provider.get_customer(billing_id)
    assert found.customer.metadata == {"customer_id": "acme"}
    assert (found.name, found.email) == ("Acme", "acme@mail.example")


def test_listed_customer_without_name_and_address_has_none(telling_world: RemoteWorld) -> None:
    tells = source(telling_world)
    telling_world.provider.ensure_customer({}, "key")
    [found] = tells.list_customers(None, 10).customers
    assert (found.name, found.email) == (None, None)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_listed_customers_come_once_whatever_the_page(
    telling_world: RemoteWorld, limit: int
) -> None:
    made = people(telling_world, "a", "b", "c", "d", "e")
    found = [one.customer.billing_id for one in listed(telling_world, limit)]
    assert sorted(found) == sorted(made)


def test_listed_customers_leave_the_deleted_out(telling_world: RemoteWorld) -> None:
    made = people(telling_world, "a", "b", "c")
    gone = next(iter(made))
    telling_world.delete_customer(gone)
    found = {one.customer.billing_id for one in listed(telling_world, 1)}
    assert found == set(made) - {gone}


def test_listed_customers_are_not_moved_by_a_new_one(telling_world: RemoteWorld) -> None:
    made = people(telling_world, "a", "b", "c")
    first = source(telling_world).list_customers(None, 2)
    people(telling_world, "d")
    rest = source(telling_world).list_customers(first.next_cursor, 2)
    old = [*first.customers, *(one for one in rest.customers if one.name != "D")]
    assert sorted(one.customer.billing_id for one in old) == sorted(made)


def test_listed_customers_after_nobody_are_invalid(telling_world: RemoteWorld) -> None:
    tells = source(telling_world)
    people(telling_world, "a")
    with pytest.raises(InvalidError):
        tells.list_customers("cus_nobody", 2)
