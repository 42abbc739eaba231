"""The webhook endpoint at Stripe (the stand-in) and its secret in SSM: made once, and again when either is lost."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from chalicelib.settings import STRIPE_API_VERSION
from infra.deploy.aws import Aws, connect
from infra.deploy.errors import DeployError
from infra.deploy.secrets import STRIPE_KEY, WEBHOOK_SECRETS, Secrets
from infra.deploy.webhook import Webhook, event_types
from infra.local.stripe_stand_in import Request, StandIn
from infra.local.stripe_stand_in.server import StandInServer

URL = "https://api.example.test"
KEY = "sk_test_webhook"


@dataclass
class Shop:
    webhook: Webhook
    secrets: Secrets
    stripe: StandIn
    forget: Any
    server_url: str
    aws: Aws
    named: dict[str, str]

    def keeping_with(self, secrets: Callable[..., Secrets]) -> Webhook:
        """The same endpoint, whose secret is kept otherwise."""
        kept = secrets(self.aws, self.named, live=False)
        return Webhook(KEY, kept, stage=self.aws.place.stage, api_base=self.server_url)

    def endpoints(self) -> list[dict[str, Any]]:
        return [
            one for one in self.stripe.account.all("webhook_endpoint") if not one.get("deleted")
        ]

    def kept(self) -> list[str]:
        return (self.secrets.read(WEBHOOK_SECRETS) or "").split(",")

    def ask(self, method: str, path: str, body: str = "") -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = self.stripe.handle(Request(method, path, "", headers, body.encode()))
        assert answer.status == 200, answer.body


@pytest.fixture
def shop(session: boto3.Session) -> Iterator[Shop]:
    stage = f"t{uuid.uuid4().hex[:8]}"
    server = StandInServer(StandIn())
    server.start()
    aws = connect(stage, region=None, profile=None)
    named = {name: f"ssm:/paygrade/{stage}/{name}" for name in (STRIPE_KEY, WEBHOOK_SECRETS)}
    secrets = Secrets(aws, named, live=False)
    yield Shop(
        Webhook(KEY, secrets, stage=stage, api_base=server.url),
        secrets,
        server.stand_in,
        lambda: session.client("ssm").delete_parameter(Name=f"/paygrade/{stage}/{WEBHOOK_SECRETS}"),
        server.url,
        aws,
        named,
    )
    server.stop()
    server.stand_in.close()


def test_endpoint_is_made_for_our_version_and_events_and_its_secret_is_kept(shop: Shop) -> None:
    assert shop.webhook.register(URL)
    (endpoint,) = shop.endpoints()
    assert endpoint["url"] == f"{URL}/v1/webhooks/stripe"
    assert endpoint["api_version"] == STRIPE_API_VERSION
    assert sorted(endpoint["enabled_events"]) == event_types()
    assert shop.kept()[0].startswith("whsec_")
    assert shop.webhook.register(URL) == []
    assert shop.endpoints() == [endpoint]


def test_events_are_those_about_customers() -> None:
    types = event_types()
    assert {"customer.subscription.updated", "checkout.session.completed", "invoice.paid"} <= set(
        types
    )
    assert not [one for one in types if one.startswith(("account.", "product.", "price."))]


def test_secret_that_was_lost_is_had_again_by_another_endpoint(shop: Shop) -> None:
    shop.webhook.register(URL)
    (before,) = shop.endpoints()
    shop.forget()
    shop.webhook.register(URL)
    (after,) = shop.endpoints()
    assert after["id"] != before["id"]
    assert len(shop.kept()) == 1


def secret_of(endpoint: dict[str, Any]) -> str:
    """Which Stripe signs with, and does not tell again."""
    return str(endpoint["_secrets"][0]["secret"])


class NotKept(Secrets):
    """As where SSM refuses to be written, or nobody waits for its answer."""

    error: type[BaseException] = DeployError

    def write(self, name: str, text: str) -> None:
        raise self.error(f"{name} could not be kept")


@pytest.mark.parametrize("error", [DeployError, KeyboardInterrupt])
def test_secret_that_can_not_be_kept_leaves_the_endpoint_that_works(
    shop: Shop, error: type[BaseException]
) -> None:
    shop.webhook.register("https://old.example.test")
    before, kept = shop.endpoints(), shop.kept()
    failing = shop.keeping_with(NotKept)
    failing._secrets.error = error  # type: ignore[attr-defined]
    for _ in range(3):
        with pytest.raises(error):
            failing.register(URL)
        assert (shop.endpoints(), shop.kept()) == (before, kept)
    shop.webhook.register(URL)
    (after,) = shop.endpoints()
    assert after["url"].startswith(URL)
    assert shop.kept() == [secret_of(after), *kept]


def test_endpoint_whose_secret_nobody_has_is_never_the_one_that_stays(shop: Shop) -> None:
    shop.webhook.register(URL)
    (works,) = shop.endpoints()
    # Made by a run that died before it could keep the secret, or by one that kept it and was overtaken.
    wanted = f"url={works['url']}&api_version={STRIPE_API_VERSION}&enabled_events[]=invoice.paid"
    marks = "".join(f"&metadata[{name}]={value}" for name, value in works["metadata"].items())
    marks = marks.replace(works["metadata"]["paygrade_secret"], "0123456789abcdef")
    shop.ask("POST", "/v1/webhook_endpoints", wanted + marks)
    shop.ask("POST", "/v1/webhook_endpoints", f"{wanted}&metadata[paygrade_environment]=other")
    shop.webhook.register(URL)
    (stays,) = shop.endpoints()
    assert stays["id"] == works["id"]
    assert shop.kept() == [secret_of(works)]

    shop.ask("DELETE", f"/v1/webhook_endpoints/{works['id']}")
    shop.ask("POST", "/v1/webhook_endpoints", wanted + marks)
    shop.webhook.register(URL)
    (new,) = shop.endpoints()
    assert shop.kept()[0] == secret_of(new)


def test_nothing_is_made_whose_secret_has_no_place(shop: Shop) -> None:
    named = {STRIPE_KEY: KEY, WEBHOOK_SECRETS: "whsec_in_the_configuration"}
    literal = shop.keeping_with(lambda aws, _, live: Secrets(aws, named, live=live))
    with pytest.raises(DeployError, match="no reference"):
        literal.register(URL)
    assert shop.endpoints() == []


def test_endpoint_that_was_deleted_is_made_again_and_both_secrets_hold(shop: Shop) -> None:
    shop.webhook.register(URL)
    (former,) = shop.kept()
    (endpoint,) = shop.endpoints()
    shop.ask("DELETE", f"/v1/webhook_endpoints/{endpoint['id']}")
    shop.webhook.register(URL)
    new, old = shop.kept()
    assert (old == former, new != former) == (True, True)


def test_endpoint_of_a_former_address_goes_when_the_new_one_is_there(shop: Shop) -> None:
    shop.webhook.register("https://old.example.test")
    shop.webhook.register(URL)
    (endpoint,) = shop.endpoints()
    assert endpoint["url"].startswith(URL)
    assert len(shop.kept()) == 2


def test_endpoint_that_was_switched_off_or_narrowed_is_put_right(shop: Shop) -> None:
    shop.webhook.register(URL)
    (endpoint,) = shop.endpoints()
    path = f"/v1/webhook_endpoints/{endpoint['id']}"
    shop.ask("POST", path, "disabled=true&enabled_events[]=invoice.paid")
    shop.webhook.register(URL)
    (mended,) = shop.endpoints()
    assert mended["status"] == "enabled"
    assert sorted(mended["enabled_events"]) == event_types()


def test_endpoints_of_others_are_left_alone(shop: Shop) -> None:
    shop.ask(
        "POST", "/v1/webhook_endpoints", "url=https://other.test&enabled_events[]=invoice.paid"
    )
    shop.webhook.register(URL)
    shop.webhook.remove()
    (left,) = shop.endpoints()
    assert left["url"] == "https://other.test"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (STRIPE_KEY, "sk_live_1"),
        (STRIPE_KEY, " "),
        (WEBHOOK_SECRETS, "whsec_a,"),
        (WEBHOOK_SECRETS, ""),
    ],
)
def test_secret_that_the_functions_would_refuse_is_never_kept(
    shop: Shop, name: str, text: str
) -> None:
    with pytest.raises(DeployError) as refused:
        shop.secrets.write(name, text)
    assert not text.strip() or text not in str(refused.value)
    assert shop.secrets.read(name) is None


def test_endpoint_of_a_platform_is_for_connected_accounts_and_hears_of_their_end(
    shop: Shop,
) -> None:
    own = shop.webhook
    platform = Webhook(
        KEY, shop.secrets, stage=shop.aws.place.stage, api_base=shop.server_url, connect=True
    )
    own.register(URL)
    (before,) = shop.endpoints()
    assert platform.register(URL)
    (endpoint,) = shop.endpoints()  # of the one kind or the other: that can't be changed
    assert endpoint["id"] != before["id"]
    assert endpoint["application"] is not None
    assert set(endpoint["enabled_events"]) == {*event_types(), "account.application.deauthorized"}
    assert len(shop.kept()) == 2
    assert platform.register(URL) == []
    assert own.register(URL)
    (again,) = shop.endpoints()
    assert again["application"] is None
