"""`paygrade customers import` over the API and the stand-in: told first, then done, then known."""

import json

import pytest

from infra.cli import session
from tests.factories import a_price, a_product
from tests.unit.cli.conftest import FakeApi, Shell
from tests.unit.cli.environments import new_client, stripe_world

HERE = {"PAYGRADE_API_URL": "https://test.test", "PAYGRADE_API_KEY": "ignored"}


def test_customers_import_takes_subscribers_over(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, shop = stripe_world()
    monkeypatch.setattr(session, "new_client", new_client(world))
    shop.put(a_product())
    shop.sell("pro", a_price())
    price = shop.objects("price")[0]["id"]
    there = shop.send(
        "POST", "/v1/customers", {"metadata[customer_id]": "t1", "email": "t1@a.example"}
    )
    card = shop.send(
        "POST",
        "/v1/subscriptions",
        {
            "customer": there["id"],
            "items[0][price]": price,
            "collection_method": "send_invoice",
            "days_until_due": "30",
        },
    )
    assert card["status"] == "active"
    dry = shell("customers", "import", **HERE)
    assert dry.exit_code == 0, dry.output
    assert "1 customers would be created" in dry.output
    assert shop.subscriptions("t1") == ()
    done = shell("customers", "import", "--apply", "--json", **HERE)
    assert json.loads(done.stdout)["customers"][0]["action"] == "create"
    assert [one.plan_id for one in shop.subscriptions("t1")] == ["pro"]
    again = shell("customers", "import", "--apply", **HERE)
    assert "1 known" in again.output


def test_customers_import_goes_on_until_the_end_and_fails_with_conflicts(
    api: FakeApi, connected: Shell
) -> None:
    one = {
        "billing_id": "cus_1",
        "action": "conflict",
        "customer_id": None,
        "reason": "bad_id",
        "subscriptions": 0,
        "unmapped_prices": ["price_x"],
    }
    counts = {"subscriptions": 0}
    first = {"customers": [one], "counts": counts, "next_cursor": "c2"}
    api.on("POST /v1/customers/import", first, {**first, "next_cursor": None})
    done = connected("customers", "import", "--provider", "stripe", "--id-key", "tenant")
    assert done.exit_code == 1
    assert "2 conflicts, 1 unmapped prices" in done.output
    assert api.sent() == {
        "dry_run": True,
        "id_key": "tenant",
        "provider": "stripe",
        "cursor": "c2",
    }
