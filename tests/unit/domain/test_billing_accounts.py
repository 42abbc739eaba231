from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.domain.billing_accounts import (
    AccountStatus,
    BillingAccount,
    ConnectAttempt,
    Connecting,
    account_to_use,
    connected,
    ended,
    state_digest,
    usable_attempt,
)
from chalicelib.domain.errors import BillingNotConnectedError, InvalidConnectStateError

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def an_account(
    status: AccountStatus = AccountStatus.CONNECTED, *, is_own: bool = False
) -> BillingAccount:
    return BillingAccount(
        provider="stripe",
        account_id="acct_1",
        is_own=is_own,
        status=status,
        connected_at=NOW,
        changed_at=NOW,
    )


@pytest.mark.parametrize("held", [None, an_account(), an_account(AccountStatus.REVOKED)])
def test_account_where_nothing_can_be_connected_is_the_keys_own(
    held: BillingAccount | None,
) -> None:
    assert account_to_use(held, None) is None


@pytest.mark.parametrize("connecting", list(Connecting))
def test_account_connected_is_acted_for(connecting: Connecting) -> None:
    assert account_to_use(an_account(), connecting) == "acct_1"
    assert account_to_use(an_account(is_own=True), connecting) is None


def test_account_before_anything_was_connected_is_own_only_where_that_is_allowed() -> None:
    assert account_to_use(None, Connecting.OPTIONAL) is None
    with pytest.raises(BillingNotConnectedError, match="Nobody has connected"):
        account_to_use(None, Connecting.REQUIRED)


@pytest.mark.parametrize("status", [AccountStatus.DISCONNECTED, AccountStatus.REVOKED])
def test_account_that_ended_leaves_nothing_but_what_was_own(status: AccountStatus) -> None:
    assert account_to_use(an_account(status, is_own=True), Connecting.OPTIONAL) is None
    for held, connecting in (
        (an_account(status), Connecting.OPTIONAL),  # what is linked lies in another account
        (an_account(status), Connecting.REQUIRED),
        (an_account(status, is_own=True), Connecting.REQUIRED),
    ):
        with pytest.raises(BillingNotConnectedError, match=status.value):
            account_to_use(held, connecting)


def test_account_connected_and_ended_keeps_when_it_was_connected() -> None:
    later = NOW + timedelta(hours=1)
    first = connected(None, "stripe", "acct_1", NOW, is_own=False)
    over = ended(first, AccountStatus.REVOKED, later)
    again = connected(over, "stripe", "acct_2", later, is_own=True)
    assert (first.revision, over.revision, again.revision) == (1, 2, 3)
    assert (over.connected_at, over.changed_at, over.is_connected) == (NOW, later, False)
    assert (again.account_id, again.connected_at, again.is_own) == ("acct_2", later, True)


def test_attempt_is_usable_by_its_provider_until_it_expires() -> None:
    attempt = ConnectAttempt(
        digest=state_digest("secret"), provider="stripe", begun_by="api_key:1", expires_at=NOW
    )
    just_before = NOW - timedelta(microseconds=1)
    assert usable_attempt(attempt, "stripe", just_before) is attempt
    for found, provider, now in (
        (None, "stripe", just_before),
        (attempt, "manual", just_before),
        (attempt, "stripe", NOW),
        (replace(attempt, expires_at=NOW - timedelta(days=1)), "stripe", NOW),
    ):
        with pytest.raises(InvalidConnectStateError):
            usable_attempt(found, provider, now)


def test_state_digest_does_not_tell_the_state_and_takes_any_text() -> None:
    assert "secret" not in state_digest("secret")
    assert state_digest("a") != state_digest("b")
    assert len(state_digest("\ud800")) == 64
