"""What is used of a feature is charged by one subscription of a customer.

A provider adds up all that the customer used, whichever subscription it was used by, and each one with a price for it
would charge the whole sum.
"""

from collections.abc import Iterable
from typing import Final

from chalicelib.domain.errors import invalid
from chalicelib.domain.orders import OrderLine
from chalicelib.domain.prices import PriceModel
from chalicelib.domain.snapshots import charged_by
from chalicelib.domain.subscriptions import Subscription
from chalicelib.domain.usage_scopes import counted_by
from chalicelib.ports import Ports
from chalicelib.services.snapshots import held_versions

_CODE: Final = "usage_charged_twice"


def refuse_charged_twice(
    ports: Ports, beside: Iterable[Subscription], lines: Iterable[OrderLine]
) -> None:
    """Nothing, unless these lines charge for usage that one of them, or a subscription beside them, charges, too.

    Raises `InvalidError`.
    """
    metered = [line for line in lines if line.price.model is PriceModel.USAGE_BASED]
    if not metered:
        return
    billed = [held for held in beside if held.provider is not None and held.is_live]
    charged = charged_by(billed, held_versions(ports, billed))
    taken = {counted_by(name)[0] for names in charged.values() for name in names}
    for line in metered:
        feature_id = line.price.feature_id
        if feature_id in taken:
            detail = f"What the customer uses of {feature_id!r} is charged already; it would be charged twice."
            raise invalid(f"{line.kind}_id", _CODE, detail)
        if feature_id is not None:
            taken.add(feature_id)
