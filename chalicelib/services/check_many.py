"""Many checks at once: one read for each customer among them, several at a time, each failing for itself alone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from chalicelib.domain.decisions import Question
from chalicelib.domain.errors import DomainError
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import HotRead, SnapshotReader

A = TypeVar("A")

# Each waits for the database most of its time; more connections than that gain nothing on a Lambda's share of a core.
_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question about one customer."""

    customer_id: CustomerId
    feature_id: str
    question: Question


def check_many(
    reader: SnapshotReader,
    checks: Sequence[Check],
    answer: Callable[[HotRead | None, Check], A],
    *,
    consistent: bool = False,
) -> list[A | DomainError]:
    """The answers in the order of the questions; an error where the customer could not be read."""
    customers = list(dict.fromkeys(check.customer_id for check in checks))
    reads = _reads(reader, customers, consistent=consistent)
    answers: list[A | DomainError] = []
    for check in checks:
        hot = reads[check.customer_id]
        answers.append(hot if isinstance(hot, DomainError) else answer(hot, check))
    return answers


def _reads(
    reader: SnapshotReader, customers: Sequence[CustomerId], *, consistent: bool
) -> Mapping[CustomerId, HotRead | DomainError | None]:
    def read(customer_id: CustomerId) -> HotRead | DomainError | None:
        try:
            return reader.read(customer_id, consistent=consistent)
        except DomainError as error:
            return error

    if len(customers) <= 1:
        return {customer_id: read(customer_id) for customer_id in customers}
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 -- a single check has no use for it

    with ThreadPoolExecutor(min(_AT_ONCE, len(customers))) as pool:
        return dict(zip(customers, pool.map(read, customers), strict=True))
