"""The page for customers, at those who have one."""

import pytest

from chalicelib.domain.errors import ProviderRefusedError
from tests.contract.billing_provider.samples import CUSTOMER_METADATA
from tests.contract.billing_provider.worlds import PortalWorld

BACK = "https://app.example/account"


def test_portal_of_a_customer_is_an_address(portal_world: PortalWorld) -> None:
    customer = portal_world.provider.ensure_customer(CUSTOMER_METADATA, "customer")
    url = portal_world.provider.open_portal(customer.billing_id, BACK)
    assert url.startswith("http")


@pytest.mark.parametrize("is_deleted", [False, True])
def test_portal_of_nobody_is_refused(portal_world: PortalWorld, is_deleted: bool) -> None:
    billing_id = "cus_none"
    if is_deleted:
        made = portal_world.provider.ensure_customer(CUSTOMER_METADATA, "customer")
        billing_id = made.billing_id
        portal_world.delete_customer(billing_id)
    with pytest.raises(ProviderRefusedError) as refused:
        portal_world.provider.open_portal(billing_id, BACK)
    assert refused.value.provider_code == "resource_missing"
