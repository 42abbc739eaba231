"""The API over ports in memory, and a client that speaks JSON to it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Any, cast

from chalice.app import Chalice
from chalice.test import Client

from chalicelib.api import runtime
from chalicelib.domain.api_keys import KeyKind, Scope
from chalicelib.domain.audit_log import Cause
from chalicelib.domain.customer_tokens import CustomerToken, TokenSecret, spell
from chalicelib.domain.ids import CustomerId
from chalicelib.ports import Environment, Ports, Providers
from chalicelib.services.audit_chain import ChainedLedger, ChainedStore
from chalicelib.services.manage_api_keys import create_api_key
from chalicelib.services.token_realm import realm
from tests.fakes.queue import RecordingQueue
from tests.fakes.store import InMemorySnapshotReader, InMemoryStore
from tests.fakes.system import FakeClock, RecordingMonitor, SequentialIds
from tests.fakes.webhooks import FakeWebhookSender

BROWSER = "https://shop.example.test"


@dataclass
class NamedProviders:
    configured: list[str] = field(default_factory=lambda: ["stripe"])

    def names(self) -> list[str]:
        return self.configured


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class World:
    """One environment. `token` opens everything."""

    app: Chalice
    clock: FakeClock = field(default_factory=FakeClock)
    ids: SequentialIds = field(default_factory=SequentialIds)
    queue: RecordingQueue = field(default_factory=RecordingQueue)
    monitor: RecordingMonitor = field(default_factory=RecordingMonitor)
    webhooks: FakeWebhookSender = field(default_factory=FakeWebhookSender)
    providers: NamedProviders = field(default_factory=NamedProviders)
    environment: str = "test"
    token_secrets: tuple[TokenSecret, ...] = (TokenSecret(b"one secret of the tests, 32 bytes"),)

    def __post_init__(self) -> None:
        self.webhooks.clock = self.clock
        self.store = InMemoryStore(self.clock)
        self.reader = InMemorySnapshotReader(self.store)
        self.gets: list[str] = []
        self.store.on_get = lambda kind, identity: self.gets.append(kind.__name__)
        self.ports = Ports(
            environment=Environment(
                name=self.environment,
                live=False,
                public_url="https://api.example.test",
                return_origins=("https://shop.example.test",),
                billing_api_version="2030-01-01.test",
                browser_origins=(BROWSER,),
            ),
            store=ChainedStore(self.store),
            snapshots=self.reader,
            usage=ChainedLedger(self.reader.ledger, self.store),
            queue=self.queue,
            providers=cast("Providers", self.providers),
            billing_events=cast("Any", None),
            webhooks=self.webhooks,
            clock=self.clock,
            ids=self.ids,
            monitor=self.monitor,
            token_secrets=lambda: self.token_secrets,
        )
        self.token = self.new_token(*Scope)

    def new_token(self, *scopes: Scope, kind: KeyKind = KeyKind.SECRET) -> str:
        operation = self.ids.new("op_")
        cause = Cause(actor="test", request_id=operation, operation_id=operation)
        entropy = operation.encode().ljust(32, b"\0")
        _, token = create_api_key(
            self.ports, cause, name="test", kind=kind, scopes=scopes, entropy=entropy
        )
        return token

    def customer_token(self, customer_id: str, ttl_seconds: int = 900) -> str:
        """A valid token, whether or not there is such a customer."""
        now = self.clock.now().replace(microsecond=0)
        token = CustomerToken(
            id="ctok_1",
            customer_id=CustomerId(customer_id),
            expires_at=now + timedelta(seconds=ttl_seconds),
        )
        return spell(self.token_secrets[0], realm(self.ports), token, now)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        token: str | None = "",
        headers: Mapping[str, str] = MappingProxyType({}),
        **more_headers: str,
    ) -> Answer:
        """The answer to one request; keywords are headers with underscores for hyphens."""
        sent = {name.replace("_", "-"): value for name, value in more_headers.items()} | dict(
            headers
        )
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token or self.token}")
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        if data:
            sent.setdefault("Content-Type", "application/json")
        with Client(self.app, project_dir="/nonexistent") as client:
            answer = client.http.request(method, path, headers=sent, body=data)
        return Answer(answer.status_code, dict(answer.headers), answer.body)


@contextmanager
def served(world: World) -> Iterator[World]:
    """Requests are answered over this world's ports."""
    runtime.set_ports_factory(lambda: world.ports)
    try:
        yield world
    finally:
        runtime.set_ports_factory(None)
