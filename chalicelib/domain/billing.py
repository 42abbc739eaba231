"""What a billing provider is told and what it reports, in words that fit any provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from chalicelib.domain.ids import PackageId, ProductId
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.prices import Price
from chalicelib.domain.subscriptions import SubscriptionStatus


class SyncStatus(StrEnum):
    """How far a provider's copy of an object is."""

    PENDING = "pending"
    SYNCED = "synced"
    ERROR = "error"
    NOT_REQUIRED = "not_required"


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingLink:
    """Our object's counterpart at one provider."""

    provider: str
    billing_id: str | None
    url: str | None = None
    sync_status: SyncStatus
    error: str | None = None
    synced_at: datetime | None = None


# --- The catalog at the provider ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorPrice:
    """How one price must look at the provider. `lookup_key` names the slot; `fingerprint` its unchangeable money.

    `meter` is the event name of the meter whose usage is charged.
    """

    lookup_key: str
    fingerprint: str
    price: Price
    metadata: Mapping[str, str]
    meter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorProduct:
    """How one product must look at the provider: exactly these prices active, nothing else."""

    product_key: str
    name: str
    description: str | None
    active: bool
    metadata: Mapping[str, str]
    prices: tuple[MirrorPrice, ...]
    default_lookup_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedPrice:
    """A price as the provider holds it; `fingerprint` is recomputed from its money, not read from metadata.

    `money` says to a person what is charged; nothing is compared by it.
    """

    billing_id: str
    lookup_key: str | None
    fingerprint: str
    active: bool
    metadata: Mapping[str, str]
    money: Mapping[str, object] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedProduct:
    """A product and all its prices, archived ones too, as the provider holds them now."""

    billing_id: str
    name: str
    description: str | None
    active: bool
    metadata: Mapping[str, str]
    prices: tuple[ObservedPrice, ...]
    default_price: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateProduct:
    """Create the product under its own id."""

    product: MirrorProduct


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateProduct:
    """Set name, description, metadata and active of the product."""

    product: MirrorProduct
    unset_metadata: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePrice:
    """Create the price and take over its lookup key from whichever price held it."""

    product_key: str
    price: MirrorPrice


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatePrice:
    """Make the price active again, with this metadata and lookup key."""

    billing_id: str
    price: MirrorPrice
    unset_metadata: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SetDefaultPrice:
    """Make the price of this lookup key, or none, the one the provider shows for the product."""

    product_key: str
    lookup_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePrice:
    """Stop selling the price; existing subscriptions keep it."""

    billing_id: str


CatalogStep = (
    CreateProduct | UpdateProduct | CreatePrice | UpdatePrice | SetDefaultPrice | ArchivePrice
)


# --- Customers, checkouts, subscriptions at the provider ---------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCustomer:
    """The provider's record of a customer; one that was deleted has no metadata any more."""

    billing_id: str
    url: str | None
    deleted: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCustomer:
    """A customer at a provider, whoever made it, with what people call it."""

    customer: ProviderCustomer
    email: str | None = None
    name: str | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCustomers:
    """Part of all of a provider's customers."""

    customers: tuple[ListedCustomer, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutItem:
    """One line of what is bought; the price is the provider's id of one of ours."""

    price_billing_id: str
    quantity: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutDiscount:
    """The provider's coupon that is taken off, or its promotion code that leads to it."""

    coupon_billing_id: str | None = None
    code_billing_id: str | None = None


class CheckoutMode(StrEnum):
    """Where the customer pays: on the provider's page, or in the application's own with the provider's parts in it."""

    HOSTED = "hosted"
    EMBEDDED = "embedded"
    ELEMENTS = "elements"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutRequest:
    """What a customer is asked to pay for. `metadata` is put on the session and on the subscription it makes.

    A hosted page leads to `success_url` or `cancel_url`, the other modes to `return_url`. With `trial_days` a
    payment method is asked for now, and what recurs is paid after that many days.
    """

    customer_billing_id: str
    reference: str
    items: tuple[CheckoutItem, ...]
    mode: CheckoutMode = CheckoutMode.HOSTED
    success_url: str | None = None
    cancel_url: str | None = None
    return_url: str | None = None
    expires_at: datetime
    metadata: Mapping[str, str]
    trial_days: int | None = None
    discount: CheckoutDiscount | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionRequest:
    """What a customer is subscribed to without a checkout. `metadata` is put on the subscription.

    `started_at` is past; None: now.
    """

    customer_billing_id: str
    items: tuple[CheckoutItem, ...]
    metadata: Mapping[str, str]
    started_at: datetime | None = None


class CheckoutStatus(StrEnum):
    """Whether a checkout can still be paid."""

    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderCheckout:
    """A checkout as the provider holds it. An open one has a `url`, or the secret that opens it in the browser."""

    billing_id: str
    customer_billing_id: str | None = None
    url: str | None
    client_secret: str | None = field(default=None, repr=False)
    status: CheckoutStatus
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderItem:
    """One line of a provider's subscription."""

    price_billing_id: str
    quantity: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderChange:
    """What a provider's subscription will charge from `at` on; `metadata` is what it will then carry."""

    at: datetime
    items: tuple[ProviderItem, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSubscription:
    """A subscription as the provider holds it; `status` is already in our words, `live` says if its money is real.

    `past_due_since` is when the invoice that is not paid was due, set while the status is `past_due`.
    """

    billing_id: str
    customer_billing_id: str
    status: SubscriptionStatus
    items: tuple[ProviderItem, ...]
    currency: str
    started_at: datetime
    created_at: datetime
    current_period_start: datetime | None
    current_period_end: datetime | None
    trial_end: datetime | None = None
    cancel_at: datetime | None = None
    ended_at: datetime | None = None
    past_due_since: datetime | None = None
    scheduled: ProviderChange | None = None
    url: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    live: bool | None = None
    coupons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewLine:
    """One line of an invoice to come. `is_proration`: it settles the rest of a period that is running."""

    description: str
    amount: int
    quantity: int | None
    price_billing_id: str | None
    is_proration: bool
    period_start: datetime
    period_end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoicePreview:
    """An invoice as it would be made. Amounts in minor units of the currency; what is negative favours the customer.

    `due` is what would be collected: the total less what the customer has for credit, at least 0.
    """

    at: datetime
    currency: str
    lines: tuple[PreviewLine, ...]
    subtotal: int
    discount: int
    tax: int
    total: int
    due: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePreview:
    """What a change would cost: at once (None: nothing is invoiced now) and with the next regular invoice."""

    now: InvoicePreview | None
    following: InvoicePreview | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEvent:
    """A verified notification: a hint about whose truth to look at again, never truth itself.

    `about_customer`: it can tell of a change of a subscription, an invoice or the customer itself. Whatever else
    happens at the provider is found by reconciliation, by object state. `account_id` is the connected account that it
    happened in, None for the key's own; `ends_connection`: that account's owner ended the connection.
    """

    id: str
    type: str
    created_at: datetime
    live: bool
    api_version: str | None
    object_id: str | None
    customer_billing_id: str | None
    about_customer: bool = True
    account_id: str | None = None
    ends_connection: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundedPayment:
    """What went back to the customer, in minor units."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSubscriptions:
    """Part of all that a provider bills."""

    subscriptions: tuple[ProviderSubscription, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEvents:
    """Part of what a provider says it notified of, newest first; `unreadable` are events of no known shape."""

    events: tuple[ProviderEvent, ...]
    next_cursor: str | None = None
    unreadable: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceOwner:
    """Which of our prices a provider's price stands for; `versions` are the package's versions that charge it."""

    kind: PackageKind
    package_id: PackageId
    product_id: ProductId
    price: Price
    versions: tuple[int, ...]
