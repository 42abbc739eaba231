"""A provider in memory that tells of its customers, whoever made them."""

from dataclasses import dataclass, field

from chalicelib.domain.billing import ListedCustomer, ListedCustomers
from chalicelib.domain.errors import invalid
from chalicelib.ports import CustomerSource
from tests.fakes.moving import MovingProvider


@dataclass(slots=True)
class SourceProvider(MovingProvider, CustomerSource):
    """It tells of them in the order in which they were made. `currencies` are of those who have one."""

    currencies: dict[str, str] = field(default_factory=dict)

    def list_customers(self, cursor: str | None, limit: int) -> ListedCustomers:
        self._read("list_customers", cursor, limit)
        if cursor is not None and cursor not in self.customers:
            raise invalid("cursor", "bad_cursor", "The cursor is no customer there any more.")
        ids = list(self.customers)
        start = ids.index(cursor) + 1 if cursor is not None else 0
        chosen = ids[start : start + limit]
        found = tuple(self._listed(key) for key in chosen if not self.customers[key].deleted)
        following = chosen[-1] if start + limit < len(ids) else None
        return ListedCustomers(customers=found, next_cursor=following)

    def _listed(self, billing_id: str) -> ListedCustomer:
        name, email = self.customer_details.get(billing_id, (None, None))
        return ListedCustomer(
            customer=self.customers[billing_id],
            name=name,
            email=email,
            currency=self.currencies.get(billing_id),
        )
