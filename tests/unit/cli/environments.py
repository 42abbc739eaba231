"""Whole environments in this process, and the command line talking to one of them."""

from collections.abc import Callable
from typing import Any

import httpx

import app
from chalicelib.domain.api_keys import Scope
from infra.cli.client import ApiClient
from tests.fakes.stripe_shop import StripeShop
from tests.unit.api.world import World, served


def client_of(world: World) -> ApiClient:
    """A client whose requests this world answers."""

    def handle(request: httpx.Request) -> httpx.Response:
        key = request.headers.get("Idempotency-Key")
        with served(world):
            answer = world.send(
                request.method,
                request.url.raw_path.decode(),
                raw=request.content or None,
                headers={"Idempotency-Key": key} if key else {},
            )
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)

    return ApiClient(
        f"https://{world.environment}.test", "ignored", transport=httpx.MockTransport(handle)
    )


def new_client(*worlds: World) -> Callable[[str, str], ApiClient]:
    """What makes the clients of a session: the URL names the environment."""
    clients = {f"https://{world.environment}.test": client_of(world) for world in worlds}
    return lambda api_url, _: clients[api_url]


def stripe_world() -> tuple[World, StripeShop]:
    """A world of the API over the real Stripe adapter and the stand-in."""
    shop = StripeShop()
    world = World(app.app)
    world.ports = shop.ports
    world.token = world.new_token(*Scope)
    return world, shop


def answer_of(world: World, method: str, path: str, body: Any = None) -> Any:
    """The JSON of one request."""
    with served(world):
        return world.send(method, path, body).json
