"""Finding out which of our prices a provider's prices stand for."""

from collections.abc import Iterable

from chalicelib.domain.billing import PriceOwner, ProviderSubscription
from chalicelib.domain.ids import PackageId
from chalicelib.domain.plans import PackageKind, PackageVersion
from chalicelib.domain.prices import fingerprint
from chalicelib.domain.references import Reference, price_namespace
from chalicelib.ports import Ports
from chalicelib.services.listing import all_within


def owners_of(
    ports: Ports, provider: str, subscriptions: Iterable[ProviderSubscription]
) -> dict[str, PriceOwner]:
    """Our price for each price of these subscriptions, now and to come; prices that are not ours are left out."""
    billing_ids = {
        item.price_billing_id
        for held in subscriptions
        for item in (*held.items, *(held.scheduled.items if held.scheduled else ()))
    }
    histories: dict[tuple[str, str], tuple[PackageVersion, ...]] = {}
    owners: dict[str, PriceOwner] = {}
    for billing_id in sorted(billing_ids):
        reference = ports.store.get(Reference, price_namespace(provider), billing_id)
        if reference is None:
            continue
        kind, package_id, price_id, money = reference.target
        if (kind, package_id) not in histories:
            histories[kind, package_id] = all_within(ports.store, PackageVersion, kind, package_id)
        charging = [
            (version, price)
            for version in histories[kind, package_id]
            if (price := version.price(price_id)) is not None and fingerprint(price) == money
        ]
        if charging:
            newest, price = charging[-1]
            owners[billing_id] = PriceOwner(
                kind=PackageKind(kind),
                package_id=PackageId(package_id),
                product_id=newest.product_id,
                price=price,
                versions=tuple(version.number for version, _ in charging),
            )
    return owners
