"""One environment with a customer that Stripe knows, and nothing else."""

from collections.abc import Iterator

import pytest

import app
from chalicelib.domain.billing import BillingLink, ProviderCustomer, SyncStatus
from chalicelib.domain.customers import Customer
from chalicelib.domain.ids import CustomerId
from chalicelib.domain.references import Reference, customer_namespace
from chalicelib.domain.snapshots import compile_snapshot
from chalicelib.ports import Absent, Put
from tests.fakes.system import START
from tests.integration.webhooks.deliveries import CUSTOMER
from tests.integration.world import Deployment
from tests.unit.api.world import served


@pytest.fixture(autouse=True)
def _no_sockets(socket_disabled: None) -> None:
    """Nothing here needs a network."""


def with_customer(deployment: Deployment) -> Deployment:
    """Acme is ours, and linked."""
    link = BillingLink(provider="stripe", billing_id=CUSTOMER, sync_status=SyncStatus.SYNCED)
    acme = Customer(id=CustomerId("acme"), links=(link,), created_at=START)
    reference = Reference(namespace=customer_namespace("stripe"), key=CUSTOMER, target=(acme.id,))
    deployment.fake.customers[CUSTOMER] = ProviderCustomer(billing_id=CUSTOMER, url=None)
    deployment.store.commit(
        Put(acme, Absent()),
        Put(reference, Absent()),
        Put(compile_snapshot(acme, (), {}, {}, version=1), Absent()),
    )
    return deployment


@pytest.fixture
def deployment() -> Iterator[Deployment]:
    with served(with_customer(Deployment(app.app))) as made:
        assert isinstance(made, Deployment)
        yield made
