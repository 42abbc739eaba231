"""Which prices of a provider's subscription give way to which of another version. Pure: the plan, not the doing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.domain.billing import PriceOwner, ProviderItem
from chalicelib.domain.plans import PackageVersion
from chalicelib.domain.prices import Price, PriceModel


class Proration(StrEnum):
    """Whether the rest of the running period is settled when prices change: not, with the next invoice, or at once."""

    NONE = "none"
    CREATE = "create"
    INVOICE_NOW = "invoice_now"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemMove:
    """One line of a provider's subscription; None instead of a price: it comes new, or goes."""

    from_price: str | None
    to_price: str | None
    quantity: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceMove:
    """The same, with our own price for what the line is to charge."""

    from_price: str | None
    to_price: Price | None
    quantity: int | None


class UnmovableError(Exception):
    """The subscription can't be charged by the other version; `code` is stable, `detail` for people."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def price_moves(
    items: Sequence[ProviderItem],
    owners: Mapping[str, PriceOwner],
    target: PackageVersion,
    quantity: int,
) -> tuple[PriceMove, ...]:
    """How the lines that the package charges change; `quantity` is how often it is held (a plan: once).

    A line moves to the price that charges for the same thing on the same terms. What is new is charged from its
    least quantity; what there is no price for any more goes. Raises `UnmovableError`.
    """
    held = [
        (item, owners[item.price_billing_id].price)
        for item in sorted(items, key=lambda one: one.price_billing_id)
        if _belongs(owners.get(item.price_billing_id), target)
    ]
    wanted = {_charge(price): price for price in _wanted(held, target)}
    moves: list[PriceMove] = []
    for item, price in held:
        to_price = wanted.pop(_charge(price), None)
        moves.append(
            PriceMove(
                from_price=item.price_billing_id,
                to_price=to_price,
                quantity=_kept(item, to_price) if to_price is not None else None,
            )
        )
    moves += (
        PriceMove(from_price=None, to_price=price, quantity=_first(price, quantity))
        for price in wanted.values()
    )
    if held and all(move.to_price is None for move in moves):
        # Who subscribes is told by what is charged: without a line the package would be lost.
        raise UnmovableError("nothing_to_charge", "The version charges nothing on these terms.")
    return tuple(moves)


def _belongs(owner: PriceOwner | None, target: PackageVersion) -> bool:
    return owner is not None and (owner.kind, owner.package_id) == (target.kind, target.id)


def _wanted(
    held: Sequence[tuple[ProviderItem, Price]], target: PackageVersion
) -> tuple[Price, ...]:
    first = next((price for _, price in held if price.billing_period is not None), None)
    if first is None or first.billing_period is None:
        if any(price.billing_period is not None for price in target.content.prices):
            detail = "The package was free in this subscription and is not any more."
            raise UnmovableError("payment_required", detail)
        return ()
    country = next((price.country for _, price in held if price.country is not None), None)
    charged = target.prices_for(first.billing_period, first.interval_count, first.currency, country)
    recurring = tuple(price for price in charged if price.billing_period is not None)
    if target.content.prices and not recurring:
        terms = f"{first.interval_count} {first.billing_period} in {first.currency!r}"
        raise UnmovableError("no_such_price", f"The version has no price for {terms}.")
    return recurring


def _charge(price: Price) -> tuple[PriceModel, str | None]:
    return (price.model, price.feature_id)


def _kept(item: ProviderItem, price: Price) -> int | None:
    if price.model is PriceModel.USAGE_BASED:
        return None
    quantity = 1 if item.quantity is None else item.quantity
    least, most = price.min_quantity, price.max_quantity
    if price.model is PriceModel.PER_UNIT and (
        (least is not None and quantity < least) or (most is not None and quantity > most)
    ):
        detail = f"The version does not sell {quantity} units of {price.feature_id!r}."
        raise UnmovableError("quantity_out_of_range", detail)
    return quantity


def _first(price: Price, quantity: int) -> int | None:
    if price.model is PriceModel.USAGE_BASED:
        return None
    return (price.min_quantity or 1) if price.model is PriceModel.PER_UNIT else quantity
