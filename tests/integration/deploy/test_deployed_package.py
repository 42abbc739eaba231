"""The package as it is deployed: real `chalice deploy`, real zip, Lambda's own runtime client, emulated AWS around it.

The emulator runs every function of the deployed zip under `awslambdaric`, starts them from the SQS mappings and behind
the REST API that Chalice made, and keeps the tables and queues.

What it can't show: permissions (IAM is not enforced), the gateway's own refusals (unknown path, throttling, size),
Lambda's memory limit, how it scales the pollers of a queue, and that /var/task is read-only. Schedules are started by
hand: the test would have to wait a minute for them.
"""

import base64
import hashlib
import json
from threading import Event, Thread
from typing import Any, Final
from urllib.request import urlopen

import httpx

from tests.e2e.waiting import eventually
from tests.integration.deploy.cloud import Cloud

PRO = {
    "id": "pro",
    "product_id": "app",
    "name": "Pro",
    "pricing_type": "paid",
    "entitlements": [{"feature_id": "seats", "value": 5}],
    "prices": [{"model": "flat_fee", "billing_period": "month", "currency": "usd", "amount": 4900}],
}
TITLE: Final = "Paygrade"
CHANGED_TITLE: Final = "Paygrade, changed"
# What the emulator says while it unpacks new code over the old; Lambda changes from one to the other at once.
UNPACKING: Final = "No bootstrap binary found in the deployment package"


def test_deployed_functions_do_the_main_job(cloud: Cloud) -> None:
    deployed_is_what_was_built(cloud)
    every_queue_has_its_function_and_no_failure_takes_others_with_it(cloud)
    plan_is_published_and_reaches_stripe(cloud)
    payment_becomes_access(cloud)
    webhook_takes_exact_bytes_only(cloud)
    new_version_reaches_subscribers(cloud)
    schedules_run_and_find_nothing_wrong(cloud)
    billing_event_is_taken_again_from_its_queue(cloud)
    failing_message_comes_back_and_holds_up_nobody(cloud)


def test_redeployed_under_traffic_rolled_back_and_deleted(cloud: Cloud) -> None:
    before = cloud.checkout.built
    change(cloud)
    changed = cloud.checkout.build("changed")
    with_traffic = Traffic(cloud)
    with_traffic.start()
    cloud.checkout.deploy(changed)
    eventually(lambda: title(cloud) == CHANGED_TITLE)
    cloud.checkout.deploy(before)
    eventually(lambda: title(cloud) == TITLE)
    with_traffic.stop()
    assert set(with_traffic.statuses) <= {200, 201, 503}, with_traffic.odd
    assert with_traffic.statuses.count(201) > 5
    # Now and then a busy machine takes too long; a deployment that answers nobody would do so all the time.
    tolerated = max(2, len(with_traffic.statuses) // 10)
    assert len(with_traffic.unanswered) <= tolerated, with_traffic.unanswered
    kept = {one["id"] for one in everything(cloud, "/customers")}
    assert set(with_traffic.created) <= kept

    api_id = cloud.api_id
    cloud.checkout.delete()
    assert cloud.configurations() == []
    assert cloud.mappings() == []
    assert cloud.rules() == []
    apis = [one["id"] for one in cloud.gateway.get_rest_apis()["items"]]
    assert api_id not in apis
    roles = [role["RoleName"] for role in cloud.iam.list_roles()["Roles"]]
    assert [name for name in roles if name.startswith(f"paygrade-{cloud.stage}-")] == []
    tables = cloud.aws.dynamodb.list_tables()["TableNames"]
    assert f"paygrade-{cloud.stage}-customers" in tables


# --- the steps ----------------------------------------------------------------------------------


def deployed_is_what_was_built(cloud: Cloud) -> None:
    built = cloud.checkout.built.zip.read_bytes()
    digest = base64.b64encode(hashlib.sha256(built).digest()).decode()
    functions = cloud.configurations()
    assert {one["CodeSha256"] for one in functions} == {digest}
    where = cloud.functions.get_function(FunctionName=f"paygrade-{cloud.stage}")["Code"]
    with urlopen(where["Location"]) as answer:
        assert answer.read() == built
    target = cloud.checkout.built.target
    assert {one["Runtime"] for one in functions} == {target.runtime}
    assert {tuple(one["Architectures"]) for one in functions} == {(target.architecture,)}


def every_queue_has_its_function_and_no_failure_takes_others_with_it(cloud: Cloud) -> None:
    mapped = {one["EventSourceArn"].rpartition(":")[2]: one for one in cloud.mappings()}
    queues = {"sync", "converge", "reconcile", "migrate"}
    assert {f"paygrade-{cloud.stage}-{name}.fifo" for name in queues} <= set(mapped)
    for name, mapping in mapped.items():
        # A batch of several that fails as a whole would come back as a whole.
        alone = mapping["BatchSize"] == 1
        assert alone or "ReportBatchItemFailures" in mapping["FunctionResponseTypes"], name


def plan_is_published_and_reaches_stripe(cloud: Cloud) -> None:
    made(cloud, "/features", {"id": "seats", "name": "Seats", "type": "numeric"})
    made(cloud, "/products", {"id": "app", "name": "The app"})
    made(cloud, "/plans", PRO)
    publish(cloud, migration="new_customers")
    (link,) = synced(cloud)["prices"][0]["billing"]
    assert cloud.stripe.get(f"/v1/prices/{link['billing_id']}").json()["unit_amount"] == 4900


def payment_becomes_access(cloud: Cloud) -> None:
    # Beyond ASCII, so that the signed bytes of Stripe's events are, too.
    made(cloud, "/customers", {"id": "acme", "name": "Ærø 雪 AG", "email": "acme@example.test"})
    assert check(cloud)["denied_reason"] == "no_active_subscription"
    ordered = cloud.api.post("/subscriptions", json={"customer_id": "acme", "plan_id": "pro"})
    assert ordered.json()["status"] == "payment_required", ordered.text
    session = cloud.api.get(f"/checkout_sessions/{ordered.json()['checkout_session_id']}").json()
    paid = cloud.stripe.post(
        f"/_stand_in/checkout_sessions/{session['billing_id']}/pay", json={"outcome": "paid"}
    )
    assert paid.status_code == 200, paid.text
    eventually(lambda: check(cloud)["has_access"])
    assert check(cloud)["value"] == 5


def webhook_takes_exact_bytes_only(cloud: Cloud) -> None:
    refused = cloud.api.post(
        "/webhooks/stripe",
        content='{"id": "evt_ü"}'.encode(),
        headers={"Stripe-Signature": "t=1,v1=00", "Content-Type": "application/json"},
    )
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_signature")


def new_version_reaches_subscribers(cloud: Cloud) -> None:
    changed = cloud.api.patch(
        "/plans/pro", json={"entitlements": [{"feature_id": "seats", "value": 9}]}
    )
    assert changed.status_code == 200, changed.text
    publish(cloud, migration="all_customers", effective="immediate")
    eventually(lambda: check(cloud)["value"] == 9)
    synced(cloud)


def schedules_run_and_find_nothing_wrong(cloud: Cloud) -> None:
    rules = cloud.rules()
    assert {rule["ScheduleExpression"] for rule in rules} >= {"rate(1 minute)"}
    for rule in rules:
        cloud.run_schedule(rule)

    def finished() -> dict[str, Any] | None:
        (run, *_) = cloud.api.get("/reconciliations").json()["data"]
        found: dict[str, Any] = run
        return found if run["status"] != "running" else None

    report = eventually(finished)
    assert (report["status"], report["drifts"]) == ("succeeded", [])


def billing_event_is_taken_again_from_its_queue(cloud: Cloud) -> None:
    (event, *_) = cloud.api.get("/billing_events", params={"status": "processed"}).json()["data"]
    cloud.send("converge", json.dumps({"event_id": event["id"]}), group="acme")
    eventually(lambda: cloud.waiting("converge") == 0)
    assert cloud.waiting("converge-dlq") == 0
    assert check(cloud)["has_access"]


def failing_message_comes_back_and_holds_up_nobody(cloud: Cloud) -> None:
    cloud.give_up_after("sync", receipts=2)  # the third would take a minute and a half to come
    cloud.send("sync", "no JSON", group="broken")
    publish_again = cloud.api.patch("/plans/pro", json={"name": "Pro!"})
    assert publish_again.status_code == 200, publish_again.text
    publish(cloud, migration="new_customers")
    synced(cloud)
    eventually(lambda: cloud.waiting("sync-dlq") >= 1)
    eventually(lambda: cloud.waiting("sync") == 0)


# --- small words --------------------------------------------------------------------------------


def made(cloud: Cloud, path: str, body: dict[str, Any]) -> None:
    answer = cloud.api.post(path, json=body)
    assert answer.status_code == 201, answer.text


def publish(cloud: Cloud, **choices: str) -> None:
    answer = cloud.api.post("/plans/pro/publish", json=choices)
    assert answer.status_code == 200, answer.text


def synced(cloud: Cloud) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        plan: dict[str, Any] = cloud.api.get("/plans/pro").json()
        return plan if plan["sync_status"] == "synced" else None

    return eventually(look)


def check(cloud: Cloud) -> dict[str, Any]:
    answer = cloud.api.get("/customers/acme/entitlements/seats")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def everything(cloud: Cloud, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = cloud.api.get(path, params={"limit": "100", **cursor}).json()
        found += page["data"]
        if not page["has_more"]:
            return found
        cursor = {"cursor": page["next_cursor"]}


def change(cloud: Cloud) -> None:
    path = cloud.checkout.folder / "chalicelib/api/openapi.py"
    changed = path.read_text().replace(f'"title": "{TITLE}"', f'"title": "{CHANGED_TITLE}"')
    assert changed != path.read_text()
    path.write_text(changed)


def title(cloud: Cloud) -> str | None:
    """None: this request was refused, as one may be while the code changes or others are answered, or took too long."""
    try:
        answer = cloud.api.get(f"{cloud.url}/openapi.json")
    except httpx.TimeoutException:
        return None
    if answer.status_code != 200:
        assert answer.status_code == 503 or UNPACKING in answer.text, answer.text
        return None
    found: str = answer.json()["info"]["title"]
    return found


class Traffic:
    """Reads and writes without a pause, until told to stop."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._stopped = Event()
        self._threads = [
            Thread(target=self._run, args=(number,), daemon=True) for number in range(2)
        ]
        self.statuses: list[int] = []
        self.created: list[str] = []
        self.odd: list[str] = []
        # Whether these were done is not known: a customer of one may be there or not.
        self.unanswered: list[str] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(120)  # more than two requests may take
            assert not thread.is_alive()

    def _run(self, worker: int) -> None:
        number = 0
        while not self._stopped.wait(0.05):
            number += 1
            try:
                self._create_and_read(f"customer-{worker}-{number}")
            except httpx.TransportError as error:
                self.unanswered.append(repr(error))

    def _create_and_read(self, customer_id: str) -> None:
        answer = self._cloud.api.post("/customers", json={"id": customer_id})
        self._note(answer.status_code, answer.text)
        if answer.status_code == 201:
            self.created.append(customer_id)
            read = self._cloud.api.get(f"/customers/{customer_id}/entitlements")
            self._note(read.status_code, read.text)

    def _note(self, status: int, text: str) -> None:
        if UNPACKING in text:
            return
        self.statuses.append(status)
        if status not in (200, 201, 503):
            self.odd.append(text)
