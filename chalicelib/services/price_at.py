"""What a provider calls a price of ours."""

from chalicelib.domain.errors import BillingNotReadyError
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.prices import Price, fingerprint
from chalicelib.domain.sync import CatalogLink
from chalicelib.ports import Ports


def price_at(
    ports: Ports,
    provider: str,
    kind: PackageKind,
    package_id: str,
    price: Price,
    charged: str | None = None,
) -> str:
    """The provider's id of it; raises `BillingNotReadyError` while there is none that can be sold.

    One that is `charged` already may go on, even if it is sold to nobody else any more.
    """
    link = ports.store.get(CatalogLink, kind, package_id, provider)
    known = link.price(price.id, fingerprint(price)) if link is not None else None
    if known is None or not (known.active or known.billing_id == charged):
        raise BillingNotReadyError(
            f"The price {price.id!r} of {package_id!r} is on its way to {provider}; try again soon."
        )
    return known.billing_id
