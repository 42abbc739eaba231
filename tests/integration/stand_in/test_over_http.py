import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import stripe

from infra.local.stripe_stand_in import StandIn
from infra.local.stripe_stand_in.server import PortInUseError, StandInServer

ROOT = Path(__file__).parents[3]
CARD = {"email": "ada@example.com", "expiry": "12/34", "cvc": "123", "action": "pay"}


def test_sdk_round_trip_keeps_the_connection_open(api: Any) -> None:
    product = api.products.create({"name": "Pro", "metadata": {"a": "b"}})
    assert api.products.retrieve(product.id).metadata.a == "b"
    started = time.perf_counter()
    for _ in range(20):
        api.products.retrieve(product.id)
    # A response sent in two packets would wait 40 ms each for the delayed acknowledgement.
    assert time.perf_counter() - started < 0.6


def test_page_paid_redirects_after_the_shop_knows(
    session: Any, http: httpx.Client, shop: Any
) -> None:
    answer = http.post(session.url, data={**CARD, "number": "4242424242424242"})
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith(session.id)
    assert shop.types[-1] == "checkout.session.completed"


def test_page_redirects_though_the_shop_is_slow_to_accept(
    session: Any, http: httpx.Client, shop: Any
) -> None:
    shop.refusals = 1
    answer = http.post(session.url, data={**CARD, "number": "4242424242424242"})
    assert answer.status_code == 303
    assert "checkout.session.completed" in shop.types


def test_delivery_is_signed_and_comes_by_itself(api: Any, stand_in: StandIn, shop: Any) -> None:
    api.customers.create({"email": "ada@example.com"})
    event = shop.wait_for("customer.created")
    body, signature = shop.signatures[0]
    assert (
        stripe.Webhook.construct_event(body, signature, stand_in.webhook_secret).id == event["id"]
    )


def test_delivery_refused_comes_again_by_itself(api: Any, shop: Any) -> None:
    shop.refusals = 1
    api.customers.create({"email": "ada@example.com"})
    shop.wait_for("customer.created", seconds=5)


def test_delivery_modes_work_through_the_worker(api: Any, http: httpx.Client, shop: Any) -> None:
    http.post("/_stand_in/deliveries", json={"mode": "reverse"})
    product = api.products.create({"name": "A"})
    api.products.update(product.id, {"name": "B"})
    shop.wait_for("product.created")
    assert shop.types == ["product.updated", "product.created"]
    http.post("/_stand_in/deliveries", json={"mode": "hold"})
    api.customers.create({})
    time.sleep(0.3)
    assert "customer.created" not in shop.types
    http.post("/_stand_in/deliveries/release", json={"wait_seconds": 5})
    assert "customer.created" in shop.types


def test_clock_advanced_renews_and_tells_the_shop(
    session: Any, http: httpx.Client, api: Any, shop: Any
) -> None:
    http.post(f"/_stand_in/checkout_sessions/{session.id}/pay", json={"outcome": "paid"})
    http.post("/_stand_in/clock", json={"advance_seconds": 32 * 86_400})
    deadline = time.monotonic() + 5
    while shop.types.count("invoice.paid") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert shop.types.count("invoice.paid") == 2


def test_answer_lost_is_the_sdks_connection_error(api: Any, http: httpx.Client) -> None:
    for kind in ("timeout_after", "reset"):
        fault = {"method": "POST", "path": "/v1/customers", "kind": kind, "seconds": 0.2}
        http.post("/_stand_in/faults", json=fault)
        with pytest.raises(stripe.APIConnectionError):
            api.customers.create({"email": f"{kind}@example.com"})
    emails = [customer.email for customer in api.customers.list().data]
    assert emails == ["timeout_after@example.com"]


def test_answer_later_than_the_clients_patience_is_a_timeout(api: Any, http: httpx.Client) -> None:
    fault = {"method": "POST", "path": "/v1/customers", "kind": "timeout_after", "seconds": 30}
    http.post("/_stand_in/faults", json=fault)
    started = time.monotonic()
    with pytest.raises(stripe.APIConnectionError):
        api.customers.create({"email": "late@example.com"})
    assert 2.5 < time.monotonic() - started < 6
    assert len(api.customers.list().data) == 1


def test_many_threads_never_get_the_same_key_twice(api: Any) -> None:
    made: list[str] = []

    def create() -> None:
        made.append(api.customers.create({}, {"idempotency_key": "one"}).id)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8
    assert len(set(made)) == 1


def test_port_in_use_is_said_clearly(server: StandInServer) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    with pytest.raises(PortInUseError, match=str(port)):
        StandInServer(StandIn(), port=port).start()


def test_server_stopped_can_start_again(tmp_path: Path) -> None:
    stand_in = StandIn(tmp_path / "state.db")
    server = StandInServer(stand_in)
    for _ in range(2):
        server.start()
        assert httpx.get(server.url + "/_stand_in/deliveries").status_code == 200
        server.stop()
    stand_in.close()


def test_program_killed_keeps_its_state(tmp_path: Path) -> None:
    state = tmp_path / "state.db"
    names: list[str] = []
    for name in ("A", "B"):
        process, url = start_program(state)
        client = stripe.StripeClient("sk_test_x", base_addresses={"api": url})
        client.v1.products.create({"name": name})
        names = [product.name for product in client.v1.products.list().data]
        # Not a clean stop: the program must have written all it answered.
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    assert names == ["B", "A"]


def start_program(state: Path) -> tuple["subprocess.Popen[str]", str]:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "infra.local.stripe_stand_in",
            "--port",
            "0",
            "--state-file",
            str(state),
        ],
        cwd=ROOT,
        env={**os.environ},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, process.stdout.readline().rsplit(" ", 1)[1].strip()
