"""How Stripe is called: one client, with our own timeouts and repetitions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

import stripe

from chalicelib.adapters.billing.stripe.errors import Effect, Reason, Verdict, verdict_on
from chalicelib.adapters.billing.stripe.throttle import Throttle
from chalicelib.ports import Clock

T = TypeVar("T")
S = TypeVar("S", bound=stripe.StripeObject)

Benignity = Callable[[stripe.StripeError], bool]

STRIPE_API_BASE: Final = stripe.DEFAULT_API_BASE
STRIPE_CONNECT_BASE: Final = stripe.DEFAULT_CONNECT_API_BASE
PAGE_SIZE: Final = 100
_CONNECT_SECONDS: Final = 5.0
_READ_SECONDS: Final = 10.0

# The SDK would write an id under HOME, which in Lambda may be no place at all.
stripe.enable_telemetry = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a call is repeated: no attempt begins after `budget_seconds`."""

    budget_seconds: float = 12.0
    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 4.0
    throttled: int = 6
    unreached: int = 3
    failed: int = 3

    def attempts(self, reason: Reason) -> int:
        """How often a call may be made in all when it fails for this reason."""
        return {
            Reason.THROTTLED: self.throttled,
            Reason.UNREACHED: self.unreached,
            Reason.FAILED: self.failed,
        }[reason]


def _never(_: stripe.StripeError) -> bool:
    return False


class Connection:
    """One environment's access to one Stripe account: the key's own, or a connected one on whose behalf it acts."""

    def __init__(  # noqa: PLR0913 -- one thing each, and most have a default
        self,
        *,
        api_key: str,
        api_base: str,
        clock: Clock,
        http_client: stripe.HTTPClient | None = None,
        throttle: Throttle | None = None,
        patience: Patience | None = None,
        account_id: str | None = None,
        client_id: str | None = None,
        on_key_rejected: Callable[[], None] | None = None,
    ) -> None:
        """No request is made. `on_key_rejected` is called each time that Stripe does not take the key."""
        # Stripe serves OAuth from another host; whoever stands in for Stripe serves both.
        connect_base = STRIPE_CONNECT_BASE if api_base == STRIPE_API_BASE else api_base
        client = stripe.StripeClient(
            api_key,
            stripe_account=account_id,  # goes with every call: no caller can forget it
            client_id=client_id,
            base_addresses={"api": api_base, "connect": connect_base},
            max_network_retries=0,  # its own retries skip 429 and know nothing of our budget
            http_client=http_client
            or stripe.RequestsClient(timeout=(_CONNECT_SECONDS, _READ_SECONDS)),
        )
        self.v1 = client.v1
        self.oauth = client.oauth
        self.clock = clock
        self._throttle = throttle or Throttle(clock)
        self._patience = patience or Patience()
        self._on_key_rejected = on_key_rejected
        is_live = api_key.startswith(("sk_live_", "rk_live_"))
        dashboard = "/".join(
            ("https://dashboard.stripe.com", *filter(None, (account_id, "" if is_live else "test")))
        )
        self._pages = dashboard if api_base == STRIPE_API_BASE else api_base.rstrip("/")

    def page_url(self, path: str) -> str:
        """Where a person looks at the object, e.g. `customers/cus_1`; it need not be there."""
        return f"{self._pages}/{path}"

    def run(self, endpoint: str, effect: Effect, request: Callable[[], T]) -> T:
        """The request's answer, after as many repetitions as help and fit; else a domain error.

        A repetition sends the same bytes under the same key.
        """
        return self._run(endpoint, effect, request, _never)

    def once(self, endpoint: str, request: Callable[[], T]) -> T:
        """The request's answer, asked for one time: for what a second try would undo."""
        self._throttle.wait_for(endpoint)
        try:
            return request()
        except stripe.StripeError as error:
            raise self._verdict(error, Effect.SET).error from None

    def attempt(
        self,
        endpoint: str,
        effect: Effect,
        request: Callable[[], T],
        benign: Benignity,
    ) -> T | None:
        """Like `run`, but None where Stripe refused for the reason that the caller calls benign."""
        try:
            return self._run(endpoint, effect, request, benign)
        except _BenignError:
            return None

    def pages(
        self,
        endpoint: str,
        fetch: "Callable[[str | None], stripe.ListObject[S]]",
        benign: Benignity = _never,
    ) -> Iterator[S]:
        """Every object of a list, page by page, each page with its own repetitions; none if benign.

        `fetch` gets the id after which the page starts. The SDK's own iterator would be dead after
        one 429.
        """
        after: str | None = None
        while True:
            page = self.attempt(endpoint, Effect.READ, partial(fetch, after), benign)
            if page is None:
                return
            yield from page.data
            if not page.has_more or not page.data:
                return
            after = str(page.data[-1]["id"])

    def _run(
        self,
        endpoint: str,
        effect: Effect,
        request: Callable[[], T],
        benign: Benignity,
    ) -> T:
        started = self.clock.now()
        attempts = 0
        while True:
            self._throttle.wait_for(endpoint)
            attempts += 1
            try:
                return request()
            except stripe.StripeError as error:
                if benign(error):
                    raise _BenignError from None
                verdict = self._verdict(error, effect)
                delay_seconds = self._delay(verdict, attempts)
                spent_seconds = (self.clock.now() - started).total_seconds()
                if (
                    verdict.retry is None
                    or attempts >= self._patience.attempts(verdict.retry)
                    or spent_seconds + delay_seconds > self._patience.budget_seconds
                ):
                    # Without the SDK's error: its arguments hold the whole body, and bodies hold
                    # personal data.
                    raise verdict.error from None
            self.clock.sleep(delay_seconds)

    def _verdict(self, error: stripe.StripeError, effect: Effect) -> Verdict:
        verdict = verdict_on(error, effect)
        if verdict.rejects_key and self._on_key_rejected is not None:
            # This call is over. Whoever makes the next one may have another key by then.
            self._on_key_rejected()
        return verdict

    def _delay(self, verdict: Verdict, attempts: int) -> float:
        """What Stripe asked for, or twice as long each time, jittered by the microseconds."""
        doubled = self._patience.first_delay_seconds * 2.0 ** (attempts - 1)
        longest = min(doubled, self._patience.longest_delay_seconds)
        jitter = self.clock.now().microsecond / 1_000_000
        return max(longest * (0.5 + 0.5 * jitter), verdict.delay_seconds or 0.0)


class _BenignError(Exception):
    """The refusal was the one that the caller reckons with."""
