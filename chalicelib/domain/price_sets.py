"""What makes the prices of one package fit together: no charge twice, none missing where its siblings are sold."""

from collections.abc import Iterable, Sequence

from chalicelib.domain.errors import Violation
from chalicelib.domain.prices import Price, Terms, charge_of, terms_of


def set_violations(prices: Sequence[Price]) -> Iterable[Violation]:
    """Every contradiction between the prices of one package."""
    yield from _duplicates(prices)
    yield from _missing_currencies(prices)
    yield from _missing_general_prices(prices)


def selling_terms(prices: Sequence[Price]) -> tuple[Terms, ...]:
    """All terms that the package is sold on, in the order of its prices."""
    return tuple(dict.fromkeys(terms for price in prices if (terms := terms_of(price)) is not None))


def _duplicates(prices: Sequence[Price]) -> Iterable[Violation]:
    seen_ids: dict[str, int] = {}
    seen_slots: dict[tuple[object, ...], int] = {}
    for index, price in enumerate(prices):
        at = f"prices[{index}]"
        first = seen_ids.setdefault(price.id, index)
        if first != index:
            detail = f"prices[{first}] has the id {price.id!r} already."
            yield Violation(param=f"{at}.id", code="duplicate", detail=detail)
        slot = (*_slot(price), price.currency, price.country)
        first = seen_slots.setdefault(slot, index)
        if first != index:
            detail = f"prices[{first}] charges the same thing for the same period and currency."
            yield Violation(param=at, code="duplicate", detail=detail)


def _slot(price: Price) -> tuple[object, ...]:
    return (*charge_of(price), price.billing_period, price.interval_count)


def _missing_currencies(prices: Sequence[Price]) -> Iterable[Violation]:
    """Each charge has a price in every currency that any other has: a customer can't be charged in two."""
    general = [(index, price) for index, price in enumerate(prices) if price.country is None]
    currencies = dict.fromkeys(price.currency for _, price in general)
    held: dict[tuple[object, ...], set[str]] = {}
    first: dict[tuple[object, ...], int] = {}
    for index, price in general:
        held.setdefault(_slot(price), set()).add(price.currency)
        first.setdefault(_slot(price), index)
    for slot, of_slot in held.items():
        for currency in currencies:
            if currency not in of_slot:
                detail = f"This is sold in {currency!r} elsewhere, but has no price in it here."
                at = f"prices[{first[slot]}].currency"
                yield Violation(param=at, code="missing_currency", detail=detail)


def _missing_general_prices(prices: Sequence[Price]) -> Iterable[Violation]:
    general = {(*_slot(price), price.currency) for price in prices if price.country is None}
    for index, price in enumerate(prices):
        if price.country is not None and (*_slot(price), price.currency) not in general:
            yield Violation(
                param=f"prices[{index}].country",
                code="missing_general_price",
                detail="A country's price replaces a general one, and there is none for this charge.",
            )
