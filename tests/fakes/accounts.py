"""A provider at which accounts can be connected, in memory."""

from collections.abc import Callable
from dataclasses import dataclass, field

from chalicelib.domain.errors import ConnectRefusedError
from chalicelib.ports import BillingProvider

OWN = "acct_own"


@dataclass
class FakeConnector:
    """An `AccountConnector`. `codes` stand for accounts; `allowed` are those that can be acted for."""

    provider_of: Callable[[str], BillingProvider]
    codes: dict[str, str] = field(default_factory=dict)
    allowed: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    on_redeem: Callable[[], None] = lambda: None
    on_release: Callable[[], None] = lambda: None
    on_look: Callable[[], None] = lambda: None

    def authorize_url(self, state: str, return_url: str) -> str:
        return f"https://provider.test/authorize?state={state}&back={return_url}"

    def redeem(self, code: str) -> str:
        self.asked.append(f"redeem {code}")
        account_id = self.codes.pop(code, None)
        if account_id is None:
            raise ConnectRefusedError("The code is not good.")
        self.allowed.add(account_id)
        self.on_redeem()
        return account_id

    def release(self, account_id: str) -> None:
        self.asked.append(f"release {account_id}")
        if account_id in self.allowed:
            self.on_release()
        self.allowed.discard(account_id)

    def may_act_for(self, account_id: str) -> bool:
        self.on_look()
        return account_id in self.allowed

    def own_account(self) -> str:
        self.asked.append("own account")
        return OWN

    def acting_for(self, account_id: str) -> BillingProvider:
        return self.provider_of(account_id)
