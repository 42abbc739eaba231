"""Moving one subscriber to another version of a plan or add-on: at its provider first, then with us."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from chalicelib.domain.audit_log import Cause
from chalicelib.domain.billing import ProviderSubscription
from chalicelib.domain.convergence import (
    METADATA_ADDON_VERSIONS,
    METADATA_PLAN_VERSION,
    format_versions,
)
from chalicelib.domain.customer_changes import CustomerChange
from chalicelib.domain.customers import Customer
from chalicelib.domain.errors import NotFoundError, StoreConflictError
from chalicelib.domain.migrations import (
    MigrationRun,
    Outcome,
    Subject,
    at_version,
    held_quantity,
    held_version,
)
from chalicelib.domain.plans import Effective, PackageKind, PackageVersion
from chalicelib.domain.price_moves import (
    ItemMove,
    PriceMove,
    Proration,
    UnmovableError,
    price_moves,
)
from chalicelib.domain.snapshots import Snapshot
from chalicelib.domain.subscriptions import ENDED, Subscription
from chalicelib.ports import Absent, Ports, Put, SubscriptionChanges
from chalicelib.services.audit import entry
from chalicelib.services.converge_customer import converge_customer
from chalicelib.services.listing import all_within
from chalicelib.services.outbound import commit_customer_change
from chalicelib.services.price_at import price_at
from chalicelib.services.price_owners import owners_of
from chalicelib.services.snapshots import compile_for
from chalicelib.services.store_subscription import subscription_writes

_TRIES: Final = 6


def move_subscriber(
    ports: Ports, cause: Cause, run: MigrationRun, target: PackageVersion, subject: Subject
) -> Outcome:
    """The subscriber is on the version, or will be with its next period, or needs no move any more.

    A repetition after a crash anywhere finds what was done. Raises `UnmovableError` or the provider's refusal for
    what stays as it is, and what is worth a retry as it comes.
    """
    held = ports.store.get(Subscription, subject.customer_id, subject.subscription_id)
    number = held_version(held, run.kind, run.package_id)
    if held is None or number is None:
        return Outcome.SKIPPED
    if number >= run.to_version:
        # It was behind when the wave was written down: an earlier try of ours, or somebody else, has moved it.
        return Outcome.MOVED
    if held.provider is None:
        return _move_ours(ports, cause, run, target, subject)
    return _move_billed(ports, cause, run, target, held)


def _move_ours(
    ports: Ports, cause: Cause, run: MigrationRun, target: PackageVersion, subject: Subject
) -> Outcome:
    """Nobody bills it and it has no periods: it is moved at once, under the customer's fence."""
    if run.kind is PackageKind.PLAN and target.content.prices:
        detail = "The plan was free and is not any more: the customer has to subscribe anew."
        raise UnmovableError("payment_required", detail)
    for tried in range(1, _TRIES + 1):
        try:
            return _commit_move(ports, cause, run, subject)
        except StoreConflictError:
            if tried == _TRIES:
                raise
    raise AssertionError  # the loop returns or raises


def _commit_move(ports: Ports, cause: Cause, run: MigrationRun, subject: Subject) -> Outcome:
    stored = ports.store.get(Snapshot, subject.customer_id)
    customer = ports.store.get(Customer, subject.customer_id)
    if stored is None or customer is None:
        raise NotFoundError("customer", subject.customer_id)
    all_held = all_within(ports.store, Subscription, subject.customer_id)
    before = next((one for one in all_held if one.id == subject.subscription_id), None)
    number = held_version(before, run.kind, run.package_id)
    if before is None or number is None:
        return Outcome.SKIPPED
    if number >= run.to_version:
        return Outcome.MOVED
    moved = at_version(before, run.kind, run.package_id, run.to_version)
    after = replace(moved, version=before.version + 1)
    subscriptions = tuple(after if one.id == after.id else one for one in all_held)
    snapshot = compile_for(ports, customer, subscriptions, version=stored.version + 1)
    audited = entry(
        ports,
        cause,
        f"subscription:{after.id}",
        "subscription.migrated",
        {"plan_version": before.plan_version, "addons": before.addons},
        {"plan_version": after.plan_version, "addons": after.addons},
    )
    commit_customer_change(
        ports,
        CustomerChange(
            before=stored, after=snapshot, held=subscriptions, changed=[(before, after)]
        ),
        *subscription_writes(before, after),
        Put(audited, Absent()),
    )
    return Outcome.MOVED


def _move_billed(
    ports: Ports, cause: Cause, run: MigrationRun, target: PackageVersion, held: Subscription
) -> Outcome:
    if held.provider is None or held.billing_id is None:
        raise UnmovableError("not_billed", "The subscription has no counterpart at its provider.")
    provider = ports.providers.get(held.provider)
    if not isinstance(provider, SubscriptionChanges):
        raise UnmovableError("not_supported", f"{held.provider} can't change subscriptions.")
    truth = provider.get_subscription(held.billing_id)
    if truth is None or truth.status in ENDED:
        converge_customer(ports, cause, held.customer_id, held.provider)
        return Outcome.SKIPPED
    later = run.effective is Effective.END_OF_PERIOD and truth.current_period_end is not None
    if later and _ends_first(truth):
        return Outcome.SKIPPED
    moved = at_version(held, run.kind, run.package_id, run.to_version)
    owners = owners_of(ports, held.provider, [truth])
    quantity = held_quantity(held, run.kind, run.package_id)
    moves = price_moves(truth.items, owners, target, quantity)
    provider.move_prices(
        truth.billing_id,
        _at_provider(ports, held.provider, target, moves),
        proration=Proration.NONE if later else Proration.CREATE,
        at_period_end=later,
        metadata=_stated(moved),
        # A provider may replay a failure under its key: each retry of the run has another.
        idempotency_key=f"paygrade:{ports.environment.name}:{run.id}:{held.id}:{run.retries}",
    )
    if later:
        return Outcome.SCHEDULED
    converged = converge_customer(ports, cause, held.customer_id, held.provider)
    now_held = next((one for one in converged.subscriptions if one.id == held.id), None)
    number = held_version(now_held, run.kind, run.package_id)
    if number is not None and number < run.to_version:
        detail = f"{held.provider} was told, but still shows what version {number} charges."
        raise UnmovableError("not_taken_over", detail)
    return Outcome.MOVED


def _ends_first(truth: ProviderSubscription) -> bool:
    """Whether the subscription will end before its next period begins."""
    end, period_end = truth.cancel_at, truth.current_period_end
    return end is not None and period_end is not None and end <= period_end


def _at_provider(
    ports: Ports, provider: str, target: PackageVersion, moves: Sequence[PriceMove]
) -> tuple[ItemMove, ...]:
    """The moves in the provider's prices; raises `BillingNotReadyError` while it has not got one of them."""
    return tuple(
        ItemMove(
            from_price=move.from_price,
            to_price=price_at(
                ports, provider, target.kind, target.id, move.to_price, move.from_price
            )
            if move.to_price is not None
            else None,
            quantity=move.quantity,
        )
        for move in moves
    )


def _stated(moved: Subscription) -> dict[str, str]:
    """What makes convergence choose these versions among those that charge the same prices."""
    stated = {METADATA_PLAN_VERSION: format_versions({moved.plan_id: moved.plan_version})}
    if moved.addons:
        addons = {addon.id: addon.version for addon in moved.addons}
        stated[METADATA_ADDON_VERSIONS] = format_versions(addons)
    return stated
