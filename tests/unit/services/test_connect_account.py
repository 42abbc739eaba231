"""Connecting an account at a provider, and the end of that."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from chalicelib.domain.audit_log import AuditEntry
from chalicelib.domain.billing_accounts import (
    AccountStatus,
    BillingAccount,
    ConnectAttempt,
    Connecting,
)
from chalicelib.domain.errors import (
    BillingNotConfiguredError,
    BillingNotConnectedError,
    ConnectRefusedError,
    DomainError,
    InvalidConnectStateError,
    ProviderRefusedError,
    ProviderUnavailableError,
)
from chalicelib.domain.plans import PackageKind
from chalicelib.domain.reconciliations import Reconciliation, ReconciliationStatus
from chalicelib.domain.sync import SyncTask, SyncTaskStatus
from chalicelib.ports import BillingProvider, Delete, Providers, Put, Write
from chalicelib.services.billing_account import account_in_use
from chalicelib.services.connect_account import begin_connecting, finish_connecting
from chalicelib.services.disconnect_account import disconnect_account, notice_revocation
from chalicelib.services.link_customer import link_customer
from chalicelib.services.listing import all_within
from chalicelib.services.reconcile import continue_reconciliation
from chalicelib.services.run_sync_task import run_sync_task
from chalicelib.services.start_reconciliation import start_reconciliation
from chalicelib.services.sync_catalog import sync_package
from tests.factories import a_price
from tests.fakes.accounts import OWN, FakeConnector
from tests.fakes.billing import FakeBillingProvider
from tests.fakes.system import AmpleTime
from tests.fakes.world import World, a_cause

BACK = "https://api.example.test/v1/integrations/stripe/callback"


@dataclass
class Platform(World):
    """An environment whose key is a platform's; every account has a provider of its own, called stripe."""

    connecting: Connecting = Connecting.REQUIRED
    accounts: dict[str, FakeBillingProvider] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.accounts[OWN] = self.billing
        self.connector = FakeConnector(self.account)
        self.ports = replace(
            self.ports,
            environment=replace(self.ports.environment, connecting=self.connecting),
            providers=cast("Providers", Reached(self)),
        )

    def account(self, account_id: str) -> FakeBillingProvider:
        return self.accounts.setdefault(account_id, FakeBillingProvider(self.clock))

    def in_use(self) -> str | None:
        return account_in_use(self.store, "stripe", self.connecting)

    def connect(self, account_id: str, operation: str = "op_connect") -> BillingAccount:
        way = begin_connecting(self.ports, a_cause(), "stripe", BACK)
        code = f"code of {account_id}"
        self.connector.codes[code] = account_id
        return finish_connecting(self.ports, a_cause(operation), "stripe", way.state, code)


@dataclass(frozen=True)
class Reached:
    """The providers as the composition root hands them out: of the account that is in use at that moment."""

    platform: Platform

    def names(self) -> list[str]:
        return ["stripe"]

    def get(self, name: str) -> BillingProvider:
        return self.platform.account(self.platform.in_use() or OWN)

    def connector(self, name: str) -> FakeConnector:
        return self.platform.connector


def stored(platform: Platform, kind: type[Any]) -> list[Any]:
    return [record for (held, _), record in platform.store.records.items() if held is kind]


@pytest.fixture
def platform() -> Platform:
    return Platform()


def test_connect_begun_and_finished_works_on_behalf_of_the_account(platform: Platform) -> None:
    with pytest.raises(BillingNotConnectedError):
        platform.in_use()
    account = platform.connect("acct_a")
    assert (account.account_id, account.status, account.is_own) == (
        "acct_a",
        AccountStatus.CONNECTED,
        False,
    )
    assert platform.in_use() == "acct_a"
    assert "own account" not in platform.connector.asked  # not asked for where it is never used
    (entry,) = platform.store.list_within(AuditEntry, "billing_account:stripe").items
    assert (entry.action, entry.actor) == ("billing_account.connected", "test")
    assert entry.after is not None
    assert entry.after["account_id"] == "acct_a"


def test_connect_begun_keeps_no_secret_and_ends_after_half_an_hour(platform: Platform) -> None:
    way = begin_connecting(platform.ports, a_cause(), "stripe", BACK)
    assert way.state in way.url
    (attempt,) = stored(platform, ConnectAttempt)
    assert way.state not in repr(attempt)
    platform.connector.codes["c"] = "acct_a"
    platform.clock.advance(minutes=30)
    with pytest.raises(InvalidConnectStateError):
        finish_connecting(platform.ports, a_cause(), "stripe", way.state, "c")
    assert platform.connector.asked == []


@pytest.mark.parametrize("state", ["", "connect_other", "\ud800", "x" * 4096])
def test_connect_state_never_given_out_asks_the_provider_nothing(
    platform: Platform, state: str
) -> None:
    platform.connector.codes["c"] = "acct_a"
    with pytest.raises(InvalidConnectStateError):
        finish_connecting(platform.ports, a_cause(), "stripe", state, "c")
    assert platform.connector.asked == []


def test_connect_state_used_again_asks_the_provider_nothing(platform: Platform) -> None:
    way = begin_connecting(platform.ports, a_cause(), "stripe", BACK)
    platform.connector.codes |= {"c": "acct_a", "other": "acct_b"}
    finish_connecting(platform.ports, a_cause(), "stripe", way.state, "c")
    with pytest.raises(InvalidConnectStateError):
        finish_connecting(platform.ports, a_cause(), "stripe", way.state, "other")
    assert platform.connector.asked == ["redeem c"]
    assert platform.in_use() == "acct_a"


def test_connect_finished_twice_at_once_sends_the_code_once(platform: Platform) -> None:
    """A code that the provider sees again takes back what it gave: the state is claimed before it is sent."""
    way = begin_connecting(platform.ports, a_cause(), "stripe", BACK)
    platform.connector.codes["c"] = "acct_a"

    def other_request_is_first(writes: tuple[Write, ...]) -> None:
        if not any(isinstance(write, Delete) for write in writes):
            return
        platform.store.before_commit = None
        finish_connecting(platform.ports, a_cause("first"), "stripe", way.state, "c")

    platform.store.before_commit = other_request_is_first
    with pytest.raises(InvalidConnectStateError):
        finish_connecting(platform.ports, a_cause("second"), "stripe", way.state, "c")
    assert platform.connector.asked == ["redeem c"]
    assert platform.in_use() == "acct_a"


def test_two_owners_at_once_leave_one_account_and_the_other_is_told(platform: Platform) -> None:
    first = begin_connecting(platform.ports, a_cause(), "stripe", BACK)
    platform.connector.codes["c"] = "acct_a"

    def other_owner_is_first(writes: tuple[Write, ...]) -> None:
        if any(isinstance(w, Put) and isinstance(w.record, BillingAccount) for w in writes):
            platform.store.before_commit = None
            platform.connect("acct_b", "other")

    platform.store.before_commit = other_owner_is_first
    with pytest.raises(ConnectRefusedError, match="at the same time"):
        finish_connecting(platform.ports, a_cause(), "stripe", first.state, "c")
    assert platform.in_use() == "acct_b"


def test_connect_declined_changes_nothing_and_spends_the_state(platform: Platform) -> None:
    way = begin_connecting(platform.ports, a_cause(), "stripe", BACK)
    with pytest.raises(ConnectRefusedError, match="declined"):
        finish_connecting(platform.ports, a_cause(), "stripe", way.state, None)
    assert platform.store.get(BillingAccount, "stripe") is None
    with pytest.raises(InvalidConnectStateError):
        finish_connecting(platform.ports, a_cause(), "stripe", way.state, "c")


def test_connect_that_dies_after_the_code_is_begun_anew(platform: Platform) -> None:
    def die() -> None:
        raise KeyboardInterrupt

    platform.connector.on_redeem = die
    with pytest.raises(KeyboardInterrupt):
        platform.connect("acct_a")
    assert platform.store.get(BillingAccount, "stripe") is None
    platform.connector.on_redeem = lambda: None
    assert platform.connect("acct_a").is_connected


def test_connect_again_takes_up_everything(platform: Platform) -> None:
    platform.connect("acct_a")
    platform.publish("pro", a_price())
    sync_package(platform.ports, platform.account("acct_a"), PackageKind.PLAN, "pro")
    disconnect_account(platform.ports, a_cause("op_end"), "stripe")
    platform.clock.advance(days=400)
    assert platform.connect("acct_a", "op_again").is_connected
    assert sync_package(platform.ports, platform.account("acct_a"), PackageKind.PLAN, "pro") == 0


def test_connect_another_account_is_refused_once_plans_are_linked(platform: Platform) -> None:
    platform.connect("acct_a")
    platform.publish("pro", a_price())
    sync_package(platform.ports, platform.account("acct_a"), PackageKind.PLAN, "pro")
    with pytest.raises(ConnectRefusedError, match="linked to another account"):
        platform.connect("acct_b")
    assert platform.in_use() == "acct_a"
    # The same names there are no proof: another environment of this name may have sold from that account.
    other = platform.account("acct_b")
    other.products.update(platform.account("acct_a").products)
    strangers = replace(next(iter(other.products.values())), prices=())
    other.products[strangers.billing_id] = strangers
    with pytest.raises(ConnectRefusedError, match="linked to another account"):
        platform.connect("acct_b")
    assert platform.in_use() == "acct_a"


def test_connect_another_account_is_refused_once_a_customer_is_linked(platform: Platform) -> None:
    platform.connect("acct_a")
    customer = platform.customer()
    link_customer(platform.ports, customer, platform.account("acct_a"))
    with pytest.raises(ConnectRefusedError, match="linked to another account"):
        platform.connect("acct_b")
    assert platform.connect("acct_a").account_id == "acct_a"


def test_connect_another_account_is_fine_while_nothing_is_linked(platform: Platform) -> None:
    platform.connect("acct_a")
    platform.publish("pro", a_price())  # published, but at no provider yet
    platform.customer()
    assert platform.connect("acct_b").account_id == "acct_b"
    assert platform.in_use() == "acct_b"


def test_connect_where_the_key_is_all_there_is_is_refused() -> None:
    world = World()
    for attempt in (
        lambda: begin_connecting(world.ports, a_cause(), "stripe", BACK),
        lambda: finish_connecting(world.ports, a_cause(), "stripe", "state", "code"),
        lambda: disconnect_account(world.ports, a_cause(), "stripe"),
    ):
        with pytest.raises(BillingNotConfiguredError):
            attempt()


def test_connect_optional_works_with_the_own_account_before_and_after() -> None:
    platform = Platform(connecting=Connecting.OPTIONAL)
    platform.publish("pro", a_price())
    sync_package(platform.ports, platform.account(OWN), PackageKind.PLAN, "pro")
    assert platform.in_use() is None
    assert platform.connect(OWN).is_own
    assert platform.in_use() is None
    assert disconnect_account(platform.ports, a_cause(), "stripe").status is (
        AccountStatus.DISCONNECTED
    )
    assert platform.in_use() is None
    with pytest.raises(ConnectRefusedError):
        platform.connect("acct_a")  # what is linked lies in the own account


def test_disconnect_that_dies_before_the_provider_is_told_is_finished_by_a_repetition(
    platform: Platform,
) -> None:
    platform.connect("acct_a")

    def die() -> None:
        raise KeyboardInterrupt

    platform.connector.on_release = die
    with pytest.raises(KeyboardInterrupt):
        disconnect_account(platform.ports, a_cause(), "stripe")
    assert platform.connector.allowed == {"acct_a"}
    with pytest.raises(BillingNotConnectedError):
        platform.in_use()
    platform.connector.on_release = lambda: None
    over = disconnect_account(platform.ports, a_cause("op_2"), "stripe")
    assert over.status is AccountStatus.DISCONNECTED
    assert platform.connector.allowed == set()
    actions = [
        one.action for one in all_within(platform.store, AuditEntry, "billing_account:stripe")
    ]
    assert actions == ["billing_account.connected", "billing_account.disconnected"]


def test_disconnect_is_ours_though_the_provider_notifies_us_of_it_at_once(
    platform: Platform,
) -> None:
    platform.connect("acct_a")
    noticed: list[bool] = []

    def notify() -> None:
        platform.connector.allowed.clear()
        noticed.append(notice_revocation(platform.ports, a_cause("event"), "stripe", "acct_a"))

    platform.connector.on_release = notify
    over = disconnect_account(platform.ports, a_cause(), "stripe")
    assert noticed == [False]
    assert over.status is AccountStatus.DISCONNECTED
    assert platform.store.get(BillingAccount, "stripe") == over


def test_disconnect_of_what_was_never_connected_says_so(platform: Platform) -> None:
    with pytest.raises(BillingNotConnectedError):
        disconnect_account(platform.ports, a_cause(), "stripe")


def test_revocation_is_believed_only_if_the_provider_confirms_it(platform: Platform) -> None:
    platform.connect("acct_a")
    assert not notice_revocation(platform.ports, a_cause(), "stripe", "acct_a")
    assert platform.in_use() == "acct_a"
    platform.connector.allowed.clear()
    assert not notice_revocation(platform.ports, a_cause(), "stripe", "acct_b")
    assert notice_revocation(platform.ports, a_cause(), "stripe", "acct_a")
    assert len(platform.monitor.named("billing_account_revoked")) == 1
    with pytest.raises(BillingNotConnectedError, match="revoked"):
        platform.in_use()
    assert not notice_revocation(platform.ports, a_cause(), "stripe", "acct_a")  # told before


def a_run(platform: Platform) -> Reconciliation:
    run = start_reconciliation(platform.ports, "test")
    return continue_reconciliation(platform.ports, a_cause(), run.id, AmpleTime())


def test_reconcile_of_a_connection_that_stands_changes_nothing_about_it(
    platform: Platform,
) -> None:
    account = platform.connect("acct_a")
    assert a_run(platform).status is ReconciliationStatus.SUCCEEDED
    assert platform.store.get(BillingAccount, "stripe") == account


def test_reconcile_finds_a_revocation_nobody_told_of_and_goes_on_without_the_account(
    platform: Platform,
) -> None:
    platform.connect("acct_a")
    platform.connector.allowed.clear()
    run = a_run(platform)
    assert (run.status, run.error) == (
        ReconciliationStatus.FAILED,
        "Not everything was compared with stripe.",
    )
    held = platform.store.get(BillingAccount, "stripe")
    assert held is not None
    assert held.status is AccountStatus.REVOKED
    a_run(platform)
    assert len(platform.monitor.named("billing_account_revoked")) == 1


def test_reconcile_finds_that_a_connection_holds_after_all_unless_we_ended_it(
    platform: Platform,
) -> None:
    """As after another account's key was kept by mistake: then every account seems to have left us."""
    account = platform.connect("acct_a")
    platform.connector.allowed.clear()
    a_run(platform)
    platform.connector.allowed.add("acct_a")
    assert a_run(platform).status is ReconciliationStatus.SUCCEEDED
    held = platform.store.get(BillingAccount, "stripe")
    assert held is not None
    assert (held.status, held.account_id) == (AccountStatus.CONNECTED, account.account_id)
    disconnect_account(platform.ports, a_cause(), "stripe")
    platform.connector.allowed.add("acct_a")
    a_run(platform)
    with pytest.raises(BillingNotConnectedError):
        platform.in_use()


@pytest.mark.parametrize(
    "error", [ProviderUnavailableError("away"), ProviderRefusedError("no right to look")]
)
def test_reconcile_that_cannot_ask_whether_a_connection_stands_believes_it_does(
    platform: Platform, error: DomainError
) -> None:
    account = platform.connect("acct_a")

    def fail() -> None:
        raise error

    platform.connector.on_look = fail
    assert a_run(platform).status is ReconciliationStatus.SUCCEEDED
    assert platform.store.get(BillingAccount, "stripe") == account
    assert platform.monitor.named("revocation_unknown")


def test_sync_without_an_account_waits_for_one_and_fills_no_dead_letters(
    platform: Platform,
) -> None:
    platform.publish("pro", a_price())
    (task,) = stored(platform, SyncTask)
    waiting = run_sync_task(platform.ports, task.id)
    assert (waiting.status, waiting.outcomes[0].status) == (
        SyncTaskStatus.PENDING,
        SyncTaskStatus.PENDING,
    )
    assert "Nobody has connected" in (waiting.error or "")
    platform.connect("acct_a")
    assert run_sync_task(platform.ports, task.id).status is SyncTaskStatus.SUCCEEDED
    assert platform.account("acct_a").products
    assert not platform.account(OWN).products


def test_provider_away_while_connecting_leaves_everything_as_it_was(platform: Platform) -> None:
    platform.connect("acct_a")
    platform.publish("pro", a_price())
    sync_package(platform.ports, platform.account("acct_a"), PackageKind.PLAN, "pro")
    platform.account("acct_a").fail("observe_product", ProviderUnavailableError("away"))
    with pytest.raises(ProviderUnavailableError):
        platform.connect("acct_a", "op_2")
    assert platform.in_use() == "acct_a"
