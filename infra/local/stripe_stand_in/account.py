"""One emulated Stripe account: the only way resources read, write, number and announce objects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from infra.local.stripe_stand_in import shape
from infra.local.stripe_stand_in.clock import Clock
from infra.local.stripe_stand_in.errors import no_such
from infra.local.stripe_stand_in.ids import Ids
from infra.local.stripe_stand_in.render import difference, view
from infra.local.stripe_stand_in.store import Obj, Store, copy_of

ACCOUNT_ID = "acct_1StandIn00000000"
# The platform's, under which accounts are connected to it.
CLIENT_ID = "ca_StandIn"
SETTINGS: Obj = {"delivery_mode": "normal", "dunning_end": "cancel", "invoice_number": 0}
# Set once for the whole stand-in, connected accounts included.
_OF_ALL = ("delivery_mode", "dunning_end")


@dataclass(slots=True)
class Actor:
    """Who caused a change: an API request, or nobody (time, a person on the pay page)."""

    request_id: str | None = None
    idempotency_key: str | None = None


class Account:
    """State, time and ids of the account, plus the events each change gives rise to.

    One that is connected to a platform has state and ids of its own; its time and its events' endpoints are the
    platform's.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        ids: Ids,
        api_version: str,
        *,
        account_id: str = ACCOUNT_ID,
        platform: Account | None = None,
    ) -> None:
        self.id = account_id
        self.platform: Account = platform or self
        # Of a platform: the accounts that ever let it act for them.
        self.connected: dict[str, Account] = {}
        self.store = store
        self.clock = clock
        self.ids = ids
        self.api_version = api_version
        self.actor = Actor()
        # Where pages of this stand-in are reached; the server sets its own address.
        self.base_url: str = platform.base_url if platform else "http://127.0.0.1:8010"
        # Test tokens such as pm_card_visa made into objects by the current request.
        self.aliases: dict[str, str] = {}
        self._muted = False

    # -- settings -------------------------------------------------------------------------------
    def setting(self, name: str) -> Any:
        """A setting of the stand-in itself."""
        store = self.platform.store if name in _OF_ALL else self.store
        stored = store.get("_setting", "all") or SETTINGS
        return stored.get(name, SETTINGS.get(name))

    def set_setting(self, name: str, value: Any) -> None:
        """The setting is changed with the current change set."""
        stored = self.store.get("_setting", "all") or SETTINGS
        self.store.put("_setting", "all", {**stored, name: value})

    # -- objects --------------------------------------------------------------------------------
    def now(self) -> int:
        """The stand-in's current second."""
        return self.clock.now()

    def new(self, kind: str, **fields: Any) -> Obj:
        """An unsaved object with a fresh id (unless given) and the common fields."""
        annotations = shape.sdk_class(kind).__annotations__
        if "id" in annotations and "id" not in fields:
            fields["id"] = self.ids.new(kind)
        if "created" in annotations:
            fields.setdefault("created", self.now())
        if "livemode" in annotations:
            fields.setdefault("livemode", False)
        return shape.new(kind, **fields)

    def find(self, kind: str, object_id: str) -> Obj | None:
        """The object, read only, or None."""
        return self.store.get(kind, object_id)

    def get(self, kind: str, object_id: str, param: str | None = None) -> Obj:
        """The object, read only; a Stripe refusal when there is none."""
        found = self.store.get(kind, object_id)
        if found is None or found.get("_deleted"):
            raise no_such(kind, object_id, param)
        return found

    def edit(self, kind: str, object_id: str, param: str | None = None) -> Obj:
        """A copy to change and then `save`."""
        return copy_of(self.get(kind, object_id, param))

    def all(self, kind: str) -> list[Obj]:
        """All living objects of a kind, oldest first, read only."""
        return [obj for obj in self.store.scan(kind) if not obj.get("_deleted")]

    def add(self, obj: Obj, event: str | None = None) -> Obj:
        """The new object is stored and its event (if any) announced."""
        self.store.put(obj["object"], obj["id"], obj)
        if event is not None:
            self.emit(event, obj)
        return obj

    def save(self, obj: Obj, event: str | None = None) -> Obj:
        """The changed object is stored; the event tells what it was before, if anything changed."""
        kind = obj["object"]
        old = self.store.get(kind, obj["id"])
        before = view(self, old) if old is not None else {}
        self.store.put(kind, obj["id"], obj)
        if event is not None:
            previous = difference(before, view(self, obj))
            if previous:
                self.emit(event, obj, previous)
        return obj

    def remove(self, obj: Obj, event: str | None = None) -> Obj:
        """The object is gone, apart from the mark Stripe answers with."""
        self.store.put(obj["object"], obj["id"], {**obj, "_deleted": True})
        if event is not None:
            self.emit(event, obj)
        return {"id": obj["id"], "object": obj["object"], "deleted": True}

    # -- events ---------------------------------------------------------------------------------
    @contextmanager
    def muted(self) -> Iterator[None]:
        """Nothing inside is announced or kept: what a preview needs."""
        mark = self.store.savepoint()
        self._muted = True
        try:
            yield
        finally:
            self._muted = False
            self.store.restore(mark)

    def emit(self, event_type: str, obj: Obj, previous: Obj | None = None) -> None:
        """The event is stored and queued for every endpoint that wants it."""
        if self._muted:
            return
        data: Obj = {"object": view(self, obj)}
        if previous is not None:
            data["previous_attributes"] = previous
        named = {} if self.platform is self else {"account": self.id}
        event = self.new(
            "event",
            **named,
            api_version=self.api_version,
            data=data,
            pending_webhooks=0,
            request={
                "id": self.actor.request_id,
                "idempotency_key": self.actor.idempotency_key,
            },
            type=event_type,
        )
        self.queue(event)

    def queue(self, event: Obj) -> None:
        """The event is stored with one pending delivery per endpoint that wants it."""
        mode = self.setting("delivery_mode")
        waiting: list[str] = []
        failed: list[str] = []
        for endpoint in self.endpoints(connect="account" in event):
            if endpoint["status"] != "enabled" or not wants(endpoint, event["type"]):
                continue
            if mode == "drop":
                failed.append(endpoint["id"])
                continue
            waiting.append(endpoint["id"])
            for _ in range(2 if mode == "duplicate" else 1):
                self.add_delivery(event["id"], endpoint["id"], mode)
        self.add({**event, "_waiting": waiting, "_failed": failed})

    def endpoints(self, *, connect: bool) -> list[Obj]:
        """Those for events of connected accounts, or those for the platform's own: no endpoint gets both."""
        return [
            endpoint
            for endpoint in self.platform.all("webhook_endpoint")
            if (endpoint["application"] is not None) is connect
        ]

    def add_delivery(self, event_id: str, endpoint_id: str, mode: str) -> None:
        """One attempt chain is queued; held and reversed ones wait for a release."""
        delivery_id = self.ids.new("delivery")
        state = {"hold": "held", "reverse": "reversing"}.get(mode, "ready")
        self.store.put(
            "_delivery",
            delivery_id,
            {
                "id": delivery_id,
                "event": event_id,
                "endpoint": endpoint_id,
                "order": self.ids.counter,
                "attempts": 0,
                "due": self.now(),
                "created": self.now(),
                "state": state,
            },
        )


def wants(endpoint: Obj, event_type: str) -> bool:
    """Whether the endpoint is subscribed to this type of event."""
    return "*" in endpoint["enabled_events"] or event_type in endpoint["enabled_events"]
