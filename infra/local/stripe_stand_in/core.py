"""The stand-in itself: one lock, one change set per request, answers kept and replayed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stripe._api_version import _ApiVersion

from infra.local.stripe_stand_in import (
    connections,
    deliveries,
    faults,
    idempotency,
    request_log,
    routes,
    timeline,
)
from infra.local.stripe_stand_in.account import ACCOUNT_ID, Account, Actor
from infra.local.stripe_stand_in.clock import Clock
from infra.local.stripe_stand_in.errors import StripeError
from infra.local.stripe_stand_in.fault_answers import answer_before, lose, server_error
from infra.local.stripe_stand_in.gate import authenticate, typed_params, unknown_route
from infra.local.stripe_stand_in.ids import Ids
from infra.local.stripe_stand_in.render import expand, view
from infra.local.stripe_stand_in.router import match
from infra.local.stripe_stand_in.store import Obj, Store
from infra.local.stripe_stand_in.wire import Request, Response, json_response

API_VERSION: str = _ApiVersion.CURRENT
_MAX_EXPANSIONS = 20


class StandIn:
    """An emulated Stripe account that answers requests; safe to use from several threads."""

    def __init__(
        self,
        state_file: Path | str | None = None,
        *,
        now: Callable[[], float] = time.time,
        seed: str | None = None,
        webhook_url: str | None = None,
        webhook_secret: str | None = None,
        platform: StandIn | None = None,
        account_id: str = ACCOUNT_ID,
    ) -> None:
        routes.load()
        self.platform: StandIn = platform or self
        self.connected: dict[str, StandIn] = {}
        self.lock: threading.RLock = platform.lock if platform else threading.RLock()
        self.changed: threading.Condition = (
            platform.changed if platform else threading.Condition(self.lock)
        )
        self._state_file = Path(state_file) if state_file is not None else None
        self.store = Store(self._state_file)
        saved = self.store.get("_setting", "core") or {}
        ids = Ids(saved.get("seed") or seed, saved.get("counter", 0))
        # Time is the same for all accounts.
        clock = platform.account.clock if platform else Clock(now, saved.get("offset_seconds", 0))
        self.account: Account = Account(
            self.store,
            clock,
            ids,
            API_VERSION,
            account_id=account_id,
            platform=platform.account if platform else None,
        )
        self._next_moment: int | None = None
        self._moments_known = False
        for known in connections.known_accounts(self.account):
            self.open_account(known)
        self.webhook_secret = webhook_secret
        if webhook_url is not None:
            self.webhook_secret = self.register_webhook(webhook_url, webhook_secret)

    # -- set-up ---------------------------------------------------------------------------------
    def open_account(self, account_id: str) -> StandIn:
        """The account, with a state of its own; it lets the platform act for it once a code is redeemed."""
        if account_id == self.account.id:
            return self
        if account_id not in self.connected:
            beside = self._state_file
            opened = StandIn(
                beside.with_name(f"{beside.name}.{account_id}") if beside is not None else None,
                seed=f"{self.account.ids.seed}:{account_id}",
                platform=self,
                account_id=account_id,
            )
            self.connected[account_id] = opened
            self.account.connected[account_id] = opened.account
        return self.connected[account_id]

    def everyone(self) -> tuple[StandIn, ...]:
        """This account, and every one that ever let it act for it."""
        return (self, *self.connected.values())

    def register_webhook(
        self,
        url: str,
        secret: str | None = None,
        *,
        connect: bool = False,
    ) -> str:
        """The endpoint's secret; registering the same url again keeps the one endpoint."""
        from infra.local.stripe_stand_in.resources.webhooks import create  # noqa: PLC0415 - needs the route table loaded

        with self.change() as acct:
            for endpoint in acct.endpoints(connect=connect):
                if endpoint["url"] != url:
                    continue
                current: str = endpoint["_secrets"][0]["secret"]
                if secret is not None and secret != current:
                    current = secret
                    secrets = [{"secret": secret, "expires_at": None}]
                    acct.save({**endpoint, "_secrets": secrets})
                return current
            params = {
                "url": url,
                "enabled_events": ["*"],
                "api_version": API_VERSION,
                "connect": connect,
            }
            made = create(acct, params, secret=secret)
            acct.save({**acct.get("webhook_endpoint", made["id"]), "_survives_reset": True})
            new_secret: str = made["secret"]
            return new_secret

    def close(self) -> None:
        """The state files are closed."""
        with self.lock:
            for one in self.everyone():
                one.store.close()

    # -- committing -----------------------------------------------------------------------------
    def commit(self) -> None:
        """Everything pending is kept, here and at the other accounts, and whoever waits for changes is told."""
        for one in self.platform.everyone():
            one._keep_pending()  # noqa: SLF001 - of the same class

    def _keep_pending(self) -> None:
        touched = self.store.touched()
        if not touched:
            return
        if touched & timeline.KINDS:
            self._moments_known = False
        ids, clock = self.account.ids, self.account.clock
        core = {"seed": ids.seed, "counter": ids.counter, "offset_seconds": clock.offset_seconds}
        self.store.put("_setting", "core", core)
        self.store.commit()
        self.changed.notify_all()

    @contextmanager
    def change(self) -> Iterator[Account]:
        """What is done inside by nobody's request is kept as a whole, or not at all."""
        with self.lock:
            self.account.actor = Actor()
            self.account.aliases = {}
            try:
                self.catch_up()
                yield self.account
                self.commit()
            except BaseException:
                self.store.rollback()
                raise

    def catch_up(self) -> None:
        """Whatever was due by now has happened, in order of time."""
        acct = self.account
        while True:
            if not self._moments_known:
                self._next_moment = timeline.next_moment(acct)
                self._moments_known = True
            moment = self._next_moment
            if moment is None or moment > acct.now():
                return
            acct.actor = Actor()
            with acct.clock.frozen_at(moment):
                try:
                    timeline.run(acct, moment)
                except BaseException:
                    self.store.rollback()
                    raise
                self.commit()
            self._moments_known = False

    def advance(self, seconds: int) -> int:
        """The clock has moved on and everything due in between has happened; the new time."""
        with self.lock:
            self.account.clock.offset_seconds += seconds
            self.store.put("_setting", "clock", {"id": "clock"})
            for one in self.everyone():
                one.catch_up()
            self.commit()
            return self.account.now()

    def reset(self) -> None:
        """The account is empty but for endpoints registered from outside; time is real again.

        Nobody is connected any more.
        """
        with self.lock:
            for one in self.connected.values():
                one.store.clear()
                one.store.close()
            self.connected.clear()
            self.account.connected.clear()
            registered = self.account.all("webhook_endpoint")
            kept = [endpoint for endpoint in registered if endpoint.get("_survives_reset")]
            self.store.clear()
            self.account.clock.offset_seconds = 0
            self.store.put("_setting", "clock", {"id": "clock"})
            for endpoint in kept:
                self.store.put("webhook_endpoint", endpoint["id"], endpoint)
            self._moments_known = False
            self.commit()

    # -- requests -------------------------------------------------------------------------------
    def handle(self, request: Request) -> Response:
        """The answer to one request, of the API, a control route or a page."""
        from infra.local.stripe_stand_in import control, pages  # noqa: PLC0415 - they need this class

        if request.path.startswith("/_stand_in/"):
            return control.handle(self._holder(request.path), request)
        if request.path.startswith(pages.PREFIXES):
            return pages.handle(self._holder(request.path), request)
        with self.lock:
            acting_for = self.connected.get(request.header("Stripe-Account") or "", self)
            return acting_for._api(request)  # noqa: SLF001 - of the same class

    def _holder(self, path: str) -> StandIn:
        """The account whose checkout or portal session the path names; the platform for anything else."""
        names = path.split("/")
        kinds = ("checkout.session", "billing_portal.session")
        for one in self.connected.values():
            if any(one.store.get(kind, name) for kind in kinds for name in names):
                return one
        return self

    def _api(self, request: Request) -> Response:
        acct = self.account
        self.catch_up()
        request_id = acct.ids.new("request")
        fault = faults.take(acct.platform, request.method, request.path)
        self.commit()
        try:
            answer = self._answer(request, request_id, fault)
        except StripeError as refused:
            self.store.rollback()
            answer = json_response(refused.status, refused.body(request_id))
        answer.headers.setdefault("Request-Id", request_id)
        answer.headers.setdefault("Stripe-Version", request.header("Stripe-Version") or API_VERSION)
        key = request.header("Idempotency-Key")
        if key:
            answer.headers.setdefault("Idempotency-Key", key)
        if fault is not None:
            lose(answer, fault)
        request_log.note(acct.platform, request, answer.status, request_id)
        self.commit()
        return answer

    def _answer(self, request: Request, request_id: str, fault: Obj | None) -> Response:
        authenticate(request)
        connections.require_access(self.account.platform, request.header("Stripe-Account"))
        early = answer_before(fault, request_id) if fault is not None else None
        if fault is not None and early is not None:
            if fault["stored"]:
                self._keep(request, early, request_id)
            return early
        kept = self._kept(request)
        if kept is not None:
            return kept
        self.account.actor = Actor(request_id, _key_of(request))
        self.account.aliases = {}
        try:
            answer = self._execute(request)
        except StripeError as refused:
            if not refused.keeps_changes:
                self.store.rollback()
            answer = json_response(refused.status, refused.body(request_id))
            if refused.replayable:
                self._keep(request, answer, request_id)
            return answer
        except BaseException:
            self.store.rollback()
            raise
        if fault is not None and fault["kind"] == "500_after":
            answer = server_error(request_id)
        self._keep(request, answer, request_id)
        return answer

    def _kept(self, request: Request) -> Response | None:
        key = _key_of(request)
        if key is None:
            return None
        idempotency.check_key(key)
        return idempotency.replay(self.account, key, idempotency.fingerprint(request))

    def _keep(self, request: Request, answer: Response, request_id: str) -> None:
        key = _key_of(request)
        if key is not None:
            mark = idempotency.fingerprint(request)
            idempotency.keep(self.account, key, mark, answer, request_id)

    def _execute(self, request: Request) -> Response:
        found = match(request.method, request.path)
        if found is None:
            raise unknown_route(request)
        operation, path_values = found
        params = typed_params(operation, request)
        expansions = params.pop("expand", [])
        result = operation.handler(self.account, params, *path_values)
        if "object" not in result:  # OAuth's answers are no objects of the API
            return json_response(200, result)
        return json_response(200, self.show(result, expansions))

    def show(self, result: Obj, expansions: list[str]) -> Obj:
        """The result as the API answers it."""
        acct = self.account
        if result.get("object") == "list":
            result = {**result, "data": [view(acct, obj) for obj in result["data"]]}
        else:
            result = view(acct, result)
        return expand(acct, result, expansions)

    # -- deliveries -----------------------------------------------------------------------------
    def deliver_due(
        self,
        transport: deliveries.Transport = deliveries.post,
        *,
        limit: int = 1_000,
        turn_round: bool = True,
    ) -> int:
        """How many attempts were made; each is sent outside the lock, so answers may call back."""
        made = sum(
            one.deliver_due(transport, limit=limit, turn_round=turn_round)
            for one in self.connected.values()
        )
        while made < limit:
            with self.lock:
                self.catch_up()
                if turn_round and deliveries.is_reversing(self.account):
                    deliveries.release(self.account)
                    self.commit()
                job = self._next_job()
            if job is None:
                return made
            self.attempt(job, transport)
            made += 1
        return made

    def _next_job(self) -> deliveries.Job | None:
        for delivery in deliveries.due(self.account):
            job = deliveries.prepare(self.account, delivery)
            self.commit()
            if job is not None:
                return job
        return None

    def attempt(self, job: deliveries.Job, transport: deliveries.Transport) -> None:
        """One delivery is tried and its outcome recorded."""
        status: int | None = None
        error: str | None = None
        try:
            status = transport(job.url, job.headers, job.body)
        except OSError as failure:
            error = f"{type(failure).__name__}: {failure}"
        with self.lock:
            deliveries.record(self.account, job.delivery_id, status, error)
            self.commit()

    def wait_for_delivery(self, event_ids: list[str], timeout_seconds: float) -> bool:
        """Whether no attempt for these events is outstanding any more within the time."""
        deadline = time.monotonic() + timeout_seconds
        with self.changed:
            while True:
                on_the_way = [
                    delivery
                    for one in self.platform.everyone()
                    for delivery in one.store.scan("_delivery")
                    # Held ones go when somebody says so, which could take for ever.
                    if delivery["event"] in event_ids and delivery["state"] != "held"
                ]
                if not on_the_way:
                    return True
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self.changed.wait(left)


def _key_of(request: Request) -> str | None:
    """Only what writes can be repeated under a key; GET and DELETE are repeatable as they are."""
    return (request.header("Idempotency-Key") or None) if request.method == "POST" else None
